import { UserError } from '@kestrel/runtime'
import { loadScenario, openFlight, type Scenario } from './scenario.js'

/** A stretch of a simulated flight as a recording: frame `i` is taken at `fromS + i / fps`. */
export interface SimSource {
  scenario: Scenario
  fps: number
  fromS: number
  /** How many frames. */
  count: number
  /** Unix time, ms, of the scenario's beginning: frames are of the present then, as those of other processes with the same epoch. */
  epochMs: number | undefined
  /** Of the pictures, pixels. */
  width: number
  height: number
}

const PREFIX = 'sim:'

/** Whether a camera source names a simulated flight. */
export function isSimSource(source: string): boolean {
  return source.startsWith(PREFIX)
}

/**
 * Reads `sim:SCENARIO?fps=5&from=30&to=120&size=512x288&seed=3&epoch=UNIX_MS`; all after the name may be left out.
 *
 * @throws UserError that says what was expected
 */
export function parseSimSource(source: string): SimSource {
  const [name, query = ''] = source.slice(PREFIX.length).split('?', 2)
  const params = new URLSearchParams(query)
  const known = ['fps', 'from', 'to', 'size', 'seed', 'epoch']
  for (const key of params.keys()) {
    if (!known.includes(key)) {
      throw new UserError(`${source}: unknown "${key}"; after the scenario there may be ${known.join(', ')}`)
    }
  }
  const number = (key: string, fallback: number, least: number, most: number): number => {
    const text = params.get(key)
    if (text === null) return fallback
    const value = Number(text)
    if (text.trim() === '' || !(value >= least && value <= most)) {
      throw new UserError(`${source}: ${key}=${text}, expected a number from ${least} to ${most}`)
    }
    return value
  }
  const shipped = loadScenario(name)
  const scenario = { ...shipped, seed: Math.trunc(number('seed', shipped.seed, 0, 2 ** 31)) }
  const { camera } = scenario
  const [, width, height] =
    /^(\d+)x(\d+)$/.exec(params.get('size') ?? `${camera.width}x${camera.height}`) ?? []
  if (!(Number(width) >= 32 && Number(width) <= 1920 && Number(height) >= 32 && Number(height) <= 1080)) {
    throw new UserError(
      `${source}: size=${params.get('size')}, expected WIDTHxHEIGHT from 32x32 to 1920x1080`,
    )
  }
  const endS = openFlight(scenario).durationS
  const fps = number('fps', camera.fps, 0.01, 60)
  const fromS = number('from', 0, 0, endS)
  const toS = number('to', endS, 0, endS)
  const count = Math.floor((toS - fromS) * fps)
  if (count < 1) throw new UserError(`${source}: from ${fromS} s to ${toS} s there is no frame at ${fps} fps`)
  const epochMs = params.has('epoch') ? number('epoch', 0, 0, 1e15) : undefined
  return { scenario, fps, fromS, count, epochMs, width: Number(width), height: Number(height) }
}

/** When a frame of the source is taken, s since the start of the scenario. */
export function frameTimeS({ fromS, fps }: SimSource, index: number): number {
  return fromS + index / fps
}

/** The frame of a live source that is due next at a moment; 0 where the source is none. */
export function liveIndex({ epochMs, fromS, fps }: SimSource, nowMs: number): number {
  return epochMs === undefined ? 0 : Math.max(0, Math.ceil(((nowMs - epochMs) / 1000 - fromS) * fps))
}
