import type { Clock } from '@kestrel/runtime'
import { frameTimeS, liveIndex, parseSimSource, RenderThread } from '@kestrel/simulator'
import type { FrameSource } from './source.js'

/**
 * A simulated flight, `sim:SCENARIO?…` (simulator/source.ts).
 *
 * @throws UserError where there is no such scenario
 */
export function openSim(source: string, clock: Clock): FrameSource {
  const sim = parseSimSource(source)
  const { scenario, fps, count, width, height } = sim
  return {
    name: scenario.name,
    fps,
    width,
    height,
    async *read() {
      const renderer = new RenderThread({ scenario, width, height })
      try {
        // One frame is drawn while the one before it is looked at.
        const first = liveIndex(sim, clock.nowMs())
        let next = first < count ? renderer.render(frameTimeS(sim, first)) : undefined
        for (let index = first; next !== undefined; ) {
          const { image } = await next
          const at = index
          // Live, frames for which the renderer was too slow are not taken.
          index = Math.max(index + 1, liveIndex(sim, clock.nowMs()))
          next = index < count ? renderer.render(frameTimeS(sim, index)) : undefined
          // Whoever stops reading early waits for nothing.
          next?.catch(() => undefined)
          yield { image, ptsMs: (1000 * (at - first)) / fps, index: at }
        }
      } finally {
        await renderer.stop()
      }
    },
  }
}
