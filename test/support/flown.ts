import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { FlightLog, type FlightLogLimits } from '@kestrel/flight-log'
import { encodeEnvelope, encodeSegment, SegmentSchema, VideoCodec } from '@kestrel/link'
import {
  ConfusionMatrix,
  encodeUpdate,
  type LabelMap,
  type RgbImage,
  readParameters,
  readStudentFile,
} from '@kestrel/models'
import { createRng, type Rng, sampleWithoutReplacement, silentLog, VirtualClock } from '@kestrel/runtime'
import { aerialClasses, aerialPalette, loadScenario, RenderThread } from '@kestrel/simulator'

/** Where flights of tests begin, Unix ms. */
export const FLOWN_MS = Date.UTC(2026, 10, 28, 14, 0, 0)

const student = join(import.meta.dirname, '../../../models/student-aerial8-256x144.onnx')
/** T_update, s: frames of one clip. */
const PERIOD_S = 5

export interface FlownOptions {
  /** Folder of flights. */
  dir: string
  id: string
  /** A frame a second. */
  seconds?: number
  /** Of the simulator; without one the frames are drawn anyhow, which takes no time. */
  scenario?: string
  seed?: number
  width?: number
  height?: number
  /** Name of the student's file. */
  student?: string
  /** Share of the pixels that the student gets wrong at the beginning; it halves with each update. */
  error?: number
  limits?: FlightLogLimits
  startMs?: number
  /** The ground's clock against the drone's, ms. */
  offsetMs?: number
}

/**
 * A flight as both sides log it, made from the simulator's frames and a student that gets better with each update: every channel, refused
 * updates, modes, a message of the autopilot. The weights are real: they can be run again.
 *
 * @returns the flight's folder and what was put in
 */
export async function writeFlown(options: FlownOptions) {
  const { dir, id, seconds = 60, scenario: name, seed = 1 } = options
  const { student: named = 'student-aerial8-256x144.onnx' } = options
  const { width = 256, height = 144, error = 0.4, limits, startMs = FLOWN_MS, offsetMs = 0 } = options
  const clock = new VirtualClock(startMs)
  const groundClock = { nowMs: () => clock.nowMs() + offsetMs, sleep: clock.sleep.bind(clock) }
  const info = {
    ...{ id, drone: 'kite', startMs, software: '0.1.0', student: named },
    classes: [...aerialClasses],
    palette: aerialPalette.map(colour => [...colour] as [number, number, number]),
    configuration: JSON.stringify({
      drone: 'kite',
      ams: { updatePeriodS: PERIOD_S },
      camera: { source: name ?? 'drawn' },
    }),
  }
  const drone = new FlightLog({ dir, info: { ...info, side: 'drone' }, limits, clock, log: silentLog })
  const ground = new FlightLog({
    ...{ dir, info: { ...info, side: 'ground' as const }, limits, log: silentLog },
    clock: groundClock,
  })
  drone.start()
  ground.start()
  const camera =
    name === undefined ? undefined : new RenderThread({ scenario: loadScenario(name), width, height })
  const rng = createRng(`${seed}/flown`)
  const weights = new Weights(rng)
  const frames: { captureMs: number; image: RgbImage; truth: LabelMap }[] = []
  const clip: typeof frames = []
  const put = { frames, updates: [] as number[], refused: [] as number[] }
  const window: { adapting: ConfusionMatrix; frozen: ConfusionMatrix }[] = []
  let wrong = error
  drone.event('armed', 'Armed')
  drone.event('mode', 'Mode GUIDED')
  for (let s = 0; s < seconds; s++) {
    await clock.advanceTo(startMs + 1000 * s)
    const at = 20 + (s * 180) / seconds
    const { image, labels: truth } = (await camera?.render(at)) ?? drawn(s, width, height)
    const captureMs = clock.nowMs() - 30
    const frame = { captureMs, image, truth }
    frames.push(frame)
    clip.push(frame)
    const found = spoil(truth, wrong, rng)
    const frozen = spoil(truth, Math.min(0.9, error * (1 + s / seconds)), rng)
    drone.labels('student', captureMs, found)
    logVehicle(drone, s, seconds)
    drone.telemetry({
      timeUs: BigInt(clock.nowMs() * 1000),
      fps: 28 + 2 * rng.float(),
      latencyP50Ms: 31 + 3 * rng.float(),
      latencyP99Ms: 44 + 8 * rng.float(),
      samplingFps: 1,
      modelVersion: weights.version,
      board: { cpu: 0.5 + 0.2 * rng.float(), memory: 0.4, temperatureC: 55 + s / 10 },
    })
    drone.traffic({ up: 14_000 * s, down: 4_000 * s })
    ground.labels('teacher', captureMs, truth)
    ground.labels('frozen', captureMs, frozen)
    window.push({ adapting: confusion(truth, found), frozen: confusion(truth, frozen) })
    score(ground, captureMs, weights.version, window.slice(-10))
    if (clip.length === PERIOD_S) {
      const segment = await logSegment(drone, clip.splice(0), { width, height, sequence: s, clock })
      ground.envelope('segment', segment, BigInt(clock.nowMs() * 1000))
      await clock.advanceTo(clock.nowMs() + 400)
      const phase = Math.floor(s / PERIOD_S) + 1
      const good = phase % 4 !== 0
      const { bytes, version, baseVersion } = weights.next(good)
      const update = encodeEnvelope(
        { case: 'update', value: { baseVersion, version, part: 0, parts: 1, data: bytes } },
        { clock: groundClock },
      )
      ground.envelope('update', update)
      drone.envelope('update', update)
      ground.phase({
        ...{ phase, trained: true, iterations: 20, loss: 1 / phase, frames: s, heldOut: 3 },
        ...{ holdOutBefore: 0.4, holdOutAfter: 0.4 + 0.02 * phase, phi: 0.5 + 0.1 * rng.float() },
        ...{
          samplingFps: 1,
          updatePeriodS: PERIOD_S,
          sent: true,
          version,
          updateBytes: bytes.length,
          durationMs: 900,
        },
      })
      await clock.advanceTo(clock.nowMs() + 300)
      const value = good
        ? { version, applied: true, modelVersion: version, applyMs: 40 }
        : {
            version,
            applied: false,
            reason: 'canary',
            detail: 'It labels everything as one class',
            modelVersion: baseVersion,
          }
      const result = encodeEnvelope({ case: 'updateResult', value }, { clock })
      drone.envelope('update-result', result)
      ground.envelope('update-result', result, BigInt(clock.nowMs() * 1000))
      if (good) {
        wrong /= 2
        put.updates.push(version)
        drone.event('update-applied', `Flies version ${version}`)
      } else {
        put.refused.push(version)
        drone.event(
          'update-refused',
          `Refused version ${version}: it labels everything as one class`,
          'warning',
        )
      }
    }
    if (s === Math.floor(seconds / 2)) {
      drone.event('mode', 'Mode AUTO')
      drone.event('status-text', 'EKF3 IMU0 is using GPS', 'info')
    }
    // The disk is a real one, its time is not the clock's.
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  drone.event('disarmed', 'Disarmed')
  await drone.stop()
  await ground.stop()
  await camera?.stop()
  return { folder: drone.folder, ...put }
}

/** The student's weights as updates move them, a little at random. */
class Weights {
  version = 0
  readonly #rng: Rng
  #parameters = readParameters(readStudentFile(student))
  #sent = 0

  constructor(rng: Rng) {
    this.#rng = rng
  }

  next(applied: boolean): { bytes: Uint8Array; version: number; baseVersion: number } {
    const base = this.#parameters
    const indices = sampleWithoutReplacement(base.length, Math.floor(base.length / 20), this.#rng)
    const values = Float32Array.from(indices, i => base[i] * (1 + 0.3 * this.#rng.normal()))
    const version = ++this.#sent
    const baseVersion = this.version
    const { bytes, parameters } = encodeUpdate({
      codec: 'delta',
      baseVersion,
      version,
      base,
      indices,
      values,
    })
    if (applied) {
      this.#parameters = parameters
      this.version = version
    }
    return { bytes, version, baseVersion }
  }
}

/** Labels of which a share is wrong, in blocks, as a network errs. */
function spoil(truth: LabelMap, share: number, rng: Rng): LabelMap {
  const { width, height } = truth
  const data = truth.data.slice()
  const block = 8
  for (let y = 0; y < height; y += block) {
    for (let x = 0; x < width; x += block) {
      if (rng.float() >= share) continue
      const label = rng.int(aerialClasses.length)
      for (let dy = 0; dy < block && y + dy < height; dy++)
        data.fill(label, (y + dy) * width + x, (y + dy) * width + Math.min(width, x + block))
    }
  }
  return { width, height, data }
}

function confusion(truth: LabelMap, found: LabelMap): ConfusionMatrix {
  const matrix = new ConfusionMatrix(aerialClasses.length)
  matrix.add(truth, found)
  return matrix
}

function score(
  log: FlightLog,
  captureMs: number,
  modelVersion: number,
  window: { adapting: ConfusionMatrix; frozen: ConfusionMatrix }[],
): void {
  const trailing = (of: 'adapting' | 'frozen') => {
    const sum = new ConfusionMatrix(aerialClasses.length)
    for (const one of window) sum.addMatrix(one[of])
    return sum.miou()
  }
  const last = window[window.length - 1]
  const of = (matrix: ConfusionMatrix) => {
    const n = matrix.classes
    const at = (row: number, column: number) => matrix.counts[row * n + column]
    const all = Array.from({ length: n }, (_, k) => k)
    const truth = all.map(k => all.reduce((sum, j) => sum + at(k, j), 0))
    const said = all.map(k => all.reduce((sum, j) => sum + at(j, k), 0))
    return {
      intersection: all.map(k => BigInt(at(k, k))),
      union: all.map(k => BigInt(truth[k] + said[k] - at(k, k))),
      truth: truth.map(BigInt),
    }
  }
  const [adapting, frozen] = [of(last.adapting), of(last.frozen)]
  log.score({
    timeUs: BigInt(Math.round(captureMs * 1000)),
    modelVersion,
    adapting: trailing('adapting'),
    frozen: trailing('frozen'),
    adaptingIntersection: adapting.intersection,
    adaptingUnion: adapting.union,
    frozenIntersection: frozen.intersection,
    frozenUnion: frozen.union,
    truth: adapting.truth,
  })
}

function logVehicle(log: FlightLog, s: number, seconds: number): void {
  const turn = (2 * Math.PI * s) / Math.max(1, seconds)
  log.vehicle({
    connected: true,
    armed: true,
    kind: 'ArduCopter',
    mode: s < seconds / 2 ? 'GUIDED' : 'AUTO',
    satellites: 14,
    batteryV: 16.4 - s / 100,
    batteryPercent: 98 - s / 2,
    pose: {
      positioned: true,
      latitudeDeg: 47.2 + 0.002 * Math.sin(turn),
      longitudeDeg: 8.5 + 0.003 * (1 - Math.cos(turn)),
      altitudeM: 520 + 30 * Math.sin(turn / 2),
      heightM: 30 * Math.sin(turn / 2),
      rollRad: 0.2 * Math.sin(4 * turn),
      pitchRad: 0.1 * Math.cos(3 * turn),
      yawRad: turn,
      downMps: -0.3,
      speedMps: 9,
    },
  })
}

async function logSegment(
  log: FlightLog,
  frames: { captureMs: number; image: RgbImage }[],
  options: { width: number; height: number; sequence: number; clock: VirtualClock },
): Promise<Uint8Array> {
  const { width, height, sequence, clock } = options
  const images = frames.map(({ image }) => image)
  const video = await encodeSegment(images, { codec: 'h264', targetKbps: 300, durationS: frames.length })
  const segment = create(SegmentSchema, {
    ...{ sequence: BigInt(sequence), codec: VideoCodec.H264, width, height, video },
    frames: frames.map(({ captureMs }, i) => ({
      frameId: BigInt(sequence * 100 + i),
      captureUs: BigInt(Math.round(captureMs * 1000)),
    })),
  })
  log.sampled(segment)
  const bytes = encodeEnvelope({ case: 'segment', value: segment }, { clock })
  log.envelope('segment', bytes)
  return bytes
}

/** Hills that move, with a pattern on them, and their labels. */
function drawn(s: number, width: number, height: number): { image: RgbImage; labels: LabelMap } {
  const image = new Uint8Array(3 * width * height)
  const labels = new Uint8Array(width * height)
  for (let i = 0; i < labels.length; i++) {
    const [x, y] = [i % width, Math.floor(i / width)]
    const label = Math.min(7, Math.max(0, Math.floor((8 * (y + 12 * Math.sin((x + 9 * s) / 23))) / height)))
    labels[i] = label
    const grain = ((x + 5 * s) >> 3) % 2 === (y >> 3) % 2 ? 18 : 0
    for (let c = 0; c < 3; c++) image[3 * i + c] = Math.min(255, aerialPalette[label][c] * 0.8 + grain)
  }
  return { image: { width, height, data: image }, labels: { width, height, data: labels } }
}
