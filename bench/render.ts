import { parseArgs } from 'node:util'
import { loadScenario, SimCamera } from '@kestrel/simulator'

const USAGE = `npm run bench -- render [options]

  --scenario NAME  (default valley-to-town)
  --size WxH       of the pictures (default 640x360)
  --frames N       (default 150)
  --from S         where in the scenario it begins (default 40)`

/** Frames of a simulated flight, one after the other at 15 a second, on one core; the first, which makes the landscape, is left out. */
export async function benchRender(argv: string[]): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      scenario: { ...text, default: 'valley-to-town' },
      size: { ...text, default: '640x360' },
      frames: { ...text, default: '150' },
      from: { ...text, default: '40' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const [width, height] = values.size.split('x').map(Number)
  const camera = new SimCamera(loadScenario(values.scenario), { width, height })
  const from = Number(values.from)
  const beganMs = performance.now()
  camera.render(from)
  const firstMs = performance.now() - beganMs
  const times = Array.from({ length: Number(values.frames) }, (_, i) => {
    const began = performance.now()
    camera.render(from + (i + 1) / 15)
    return performance.now() - began
  })
  const sorted = times.toSorted((a, b) => a - b)
  const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]
  console.log(`${values.scenario}, ${width}x${height}, ${times.length} frames at 15 a second of flight\n`)
  console.log(
    `first frame ${firstMs.toFixed(0)} ms; then mean ${mean.toFixed(1)} ms (${(1000 / mean).toFixed(1)} fps)`,
  )
  console.log(`median ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`)
  console.log(
    JSON.stringify({
      bench: 'render',
      fps: 1000 / mean,
      msPerFrame: mean,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      firstMs,
    }),
  )
}
