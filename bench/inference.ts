import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { DecoderThread, Pipeline, StudentPair, UpdateApplier } from '@kestrel/agent'
import {
  buildDeepLab,
  encodeUpdate,
  loadStudent,
  type RgbImage,
  readParameters,
  readStudentFile,
  type Student,
  toPlanar,
} from '@kestrel/models'
import { type Clock, createRng, sampleWithoutReplacement, UserError } from '@kestrel/runtime'
import ort from 'onnxruntime-node'
import {
  type Compared,
  compare,
  type FlatOut,
  median,
  type NearSwaps,
  printInference,
  summarise,
} from './inference-report.js'
import { memoryCamera } from './memory-camera.js'

const USAGE = `npm run bench -- inference [options]

  --student FILE   an ONNX student (default: DeepLabV3-MobileNetV2 ×1.0, 512×256, 11 classes, untrained)
  --threads N      of the student, 0 = one for each physical core, as ONNX Runtime sees them (default 0)
  --camera WxH     size of the camera's frames (default: the student's)
  --fps N          rate of the camera where it is fixed (default: what keeps the student half busy, at most 30)
  --frames N       for the comparison with bare session.run, each way (default 300)
  --swaps N        (default 50)
  --period S       seconds from one swap to the next, half of them without one for comparison (default 5)`

/** γ of the paper: the share of weights in an update. */
const FRACTION = 0.05
/** Within this of a swap a frame counts as near it, ms. */
const NEAR_MS = 1000

/** Latencies are measured with the process's monotonic clock. */
const clock: Clock = {
  nowMs: () => performance.now(),
  sleep: ms => new Promise(resolve => setTimeout(resolve, ms)),
}

/** Camera to label through the agent's pipeline, next to bare `session.run` interleaved with it, and near swaps of weights. */
export async function benchInference(argv: string[]): Promise<void> {
  const options = parseOptions(argv)
  if (options === undefined) return console.log(USAGE)
  const { student, threads, frames } = options
  const images = drawImages(options.camera.width, options.camera.height)
  const pair = await StudentPair.create(student, student.bytes, { threads })
  try {
    const bare = await openBare(student, threads)
    const runBare = bare.run
    for (let i = 0; i < 10; i++) await runBare()
    const warm = await repeat(20, runBare)
    const fps = options.fps ?? Math.min(30, Math.floor(500 / median(warm)))
    if (fps < 1) throw new UserError(`One run takes ${median(warm).toFixed(0)} ms; give --fps below 1`)
    const paced = await comparePaced({ pair, student, images, frames, fps, runBare })
    const flatOut = await compareFlatOut({ pair, student, images, frames, runBare })
    await bare.release()
    const swaps = await measureSwaps({ ...options, pair, images, fps })
    printInference(options, { fps, paced, flatOut, swaps })
  } finally {
    await pair.stop()
  }
}

/**
 * A session of its own with the agent's options and an input that is ready: nothing but `run` is timed. The pool's threads must not
 * spin on after a run, or this session would take a core from the frame that follows.
 */
async function openBare(student: Student, threads: number) {
  const { name, width, height } = student.input
  const session = await ort.InferenceSession.create(student.bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { force_spinning_stop: '1' } },
  })
  const planes = Float32Array.from(toPlanar(drawImages(width, height)[0]))
  const feeds = { [name]: new ort.Tensor('float32', planes, [1, 3, height, width]) }
  const run = async () => {
    const began = performance.now()
    await session.run(feeds)
    return performance.now() - began
  }
  return { run, release: () => session.release() }
}

function parseOptions(argv: string[]) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      student: text,
      threads: { ...text, default: '0' },
      camera: text,
      fps: text,
      frames: { ...text, default: '300' },
      swaps: { ...text, default: '50' },
      period: { ...text, default: '5' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const number = (name: string, given: string): number => {
    const value = Number(given)
    if (!(value >= 0)) throw new UserError(`--${name} is "${given}": expected a number`)
    return value
  }
  if (values.student !== undefined && !existsSync(values.student)) {
    throw new UserError(`There is no student ${values.student}`)
  }
  const classes = Array.from({ length: 11 }, (_, i) => `class ${i}`)
  const student =
    values.student === undefined
      ? loadStudent(buildDeepLab({ classes, seed: 1 }), { source: 'DeepLabV3-MobileNetV2 ×1.0' })
      : readStudentFile(values.student)
  const [width = student.input.width, height = student.input.height] =
    values.camera?.split('x').map(Number) ?? []
  return {
    student,
    threads: number('threads', values.threads),
    camera: { width, height },
    fps: values.fps === undefined ? undefined : number('fps', values.fps),
    frames: number('frames', values.frames),
    swaps: number('swaps', values.swaps),
    periodS: number('period', values.period),
  }
}

/** A few different pictures: noise on slopes, so that labels have borders. */
function drawImages(width: number, height: number): RgbImage[] {
  return [0, 1, 2, 3].map(seed => {
    const rng = createRng(`${seed}/bench`)
    const data = new Uint8Array(3 * width * height)
    for (let i = 0; i < data.length; i++) {
      data[i] = (((i / 3) % width) * (seed + 1) * 0.3 + (i / (3 * width)) * 0.5 + 40 * rng.float()) & 255
    }
    return { width, height, data }
  })
}

interface Comparison {
  pair: StudentPair
  student: Student
  images: RgbImage[]
  frames: number
  runBare: () => Promise<number>
}

function newPipeline(setup: Pick<Comparison, 'pair' | 'student'>, camera: ReturnType<typeof memoryCamera>) {
  const latencies: { atMs: number; latencyMs: number }[] = []
  const pipeline = new Pipeline({
    camera,
    labeller: setup.pair,
    width: setup.student.input.width,
    height: setup.student.input.height,
    clock,
    pace: 'real-time',
    onLabels: (frame, _, latencyMs) => latencies.push({ atMs: frame.captureMs, latencyMs }),
  })
  return { pipeline, latencies }
}

/** At a fixed rate, a bare run and a frame by turns, each after a rest of one period. */
async function comparePaced(setup: Comparison & { fps: number }): Promise<Compared> {
  const bare: number[] = []
  const before = async () => {
    await clock.sleep(1000 / setup.fps)
    bare.push(await setup.runBare())
    await clock.sleep(1000 / setup.fps)
  }
  const { pipeline, latencies } = newPipeline(setup, memoryCamera({ ...setup, before }))
  await pipeline.run()
  return compare(
    latencies.map(({ latencyMs }) => latencyMs),
    bare,
  )
}

/** At full speed, 20 bare runs and 20 frames by turns. */
async function compareFlatOut(setup: Comparison): Promise<FlatOut> {
  const bare: number[] = []
  const piped: number[] = []
  let pipedMs = 0
  const block = 20
  for (let done = 0; done < setup.frames; done += block) {
    await clock.sleep(50)
    bare.push(...(await repeat(block, setup.runBare)))
    await clock.sleep(50)
    const camera = memoryCamera({ images: setup.images, frames: block })
    const { pipeline, latencies } = newPipeline(setup, camera)
    const began = performance.now()
    await pipeline.run()
    pipedMs += performance.now() - began
    piped.push(...latencies.map(({ latencyMs }) => latencyMs))
  }
  const sumBare = bare.reduce((sum, ms) => sum + ms, 0)
  return {
    ...compare(piped, bare),
    fps: (1000 * piped.length) / pipedMs,
    bareFps: (1000 * bare.length) / sumBare,
  }
}

/**
 * Real updates, one after the other, while frames come at a fixed rate. To each swap belongs a stretch of the same length in which
 * nothing happens, before it and after it by turns: a shared machine loses frames by itself, and what swaps cost is the difference.
 */
async function measureSwaps(setup: {
  pair: StudentPair
  student: Student
  images: RgbImage[]
  fps: number
  swaps: number
  periodS: number
}): Promise<NearSwaps> {
  const { pair, student, swaps, periodS } = setup
  const updates = encodeUpdates(student, swaps)
  const decoder = new DecoderThread(student)
  decoder.start()
  const start = { version: 0, parameters: readParameters(student) }
  const applier = new UpdateApplier({ student, host: pair, decoder, start, clock })
  const camera = memoryCamera({ images: setup.images, fps: setup.fps })
  const { pipeline, latencies } = newPipeline(setup, camera)
  const running = pipeline.run()
  const restMs = (1000 * periodS) / 2
  const rest = async (fromMs: number) => clock.sleep(Math.max(0, fromMs + restMs - performance.now()))
  const swap = async (update: Uint8Array): Promise<Span> => {
    const from = performance.now()
    const { applied, reason, detail } = await applier.apply(update)
    if (!applied) throw new Error(`Update refused: ${reason} (${detail})`)
    const to = performance.now()
    await clock.sleep(NEAR_MS)
    await rest(from)
    return { from, to }
  }
  const still = async (): Promise<number> => {
    const from = performance.now()
    await rest(from)
    return from
  }
  const pairs: { near: Span; control: Span; applyMs: number }[] = []
  await clock.sleep(2000)
  for (const [i, update] of updates.entries()) {
    const before = i % 2 === 0 ? undefined : await still()
    const { from, to } = await swap(update)
    const controlFrom = before ?? (await still())
    const lengthMs = Math.min(restMs, to + NEAR_MS - from)
    pairs.push({
      near: { from, to: from + lengthMs },
      control: { from: controlFrom, to: controlFrom + lengthMs },
      applyMs: to - from,
    })
  }
  await pipeline.stop()
  await running
  await decoder.stop()
  const within = ({ from, to }: Span, atMs: number) => atMs >= from && atMs <= to
  const latenciesOf = (span: Span) =>
    latencies.filter(({ atMs }) => within(span, atMs)).map(({ latencyMs }) => latencyMs)
  const dropsOf = (span: Span) => camera.drops.filter(atMs => within(span, atMs)).length
  const [near, steady] = (['near', 'control'] as const).map(kind => {
    const values = pairs.flatMap(pair => latenciesOf(pair[kind]))
    return {
      ...summarise(values),
      frames: values.length,
      dropped: pairs.reduce((sum, pair) => sum + dropsOf(pair[kind]), 0),
    }
  })
  return {
    p99RatioMedian: median(
      pairs.map(pair => summarise(latenciesOf(pair.near)).p99 / summarise(latenciesOf(pair.control)).p99),
    ),
    near,
    steady,
    applyMs: median(pairs.map(({ applyMs }) => applyMs)),
  }
}

/** A stretch of time, performance.now(). */
interface Span {
  from: number
  to: number
}

function encodeUpdates(student: Student, count: number): Uint8Array[] {
  const rng = createRng('bench/updates')
  let base: Float32Array = readParameters(student)
  return Array.from({ length: count }, (_, i) => {
    const changed = Math.round(FRACTION * base.length)
    const indices = sampleWithoutReplacement(base.length, changed, rng)
    const values = Float32Array.from(indices, at => base[at] * (1 + 0.01 * rng.normal()))
    const { bytes, parameters } = encodeUpdate({
      codec: 'delta',
      baseVersion: i,
      version: i + 1,
      base,
      indices,
      values,
    })
    base = parameters
    return bytes
  })
}

async function repeat(count: number, run: () => Promise<number>): Promise<number[]> {
  const values: number[] = []
  for (let i = 0; i < count; i++) values.push(await run())
  return values
}
