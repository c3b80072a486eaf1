import { frameTimeS, parseSimSource, RenderThread } from '@kestrel/simulator'
import type { FrameSource } from './source.js'

/**
 * A simulated flight, `sim:SCENARIO?…` (simulator/source.ts).
 *
 * @throws UserError where there is no such scenario
 */
export function openSim(source: string): FrameSource {
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
        let next = renderer.render(frameTimeS(sim, 0))
        for (let index = 0; index < count; index++) {
          const { image } = await next
          if (index + 1 < count) next = renderer.render(frameTimeS(sim, index + 1))
          // Whoever stops reading early waits for nothing.
          next.catch(() => undefined)
          yield { image, ptsMs: (1000 * index) / fps, index }
        }
      } finally {
        await renderer.stop()
      }
    },
  }
}
