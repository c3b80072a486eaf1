import { Adam, type Batch, createEngine } from '@kestrel/ground-station'
import { buildDeepLab, IGNORE, loadStudent, readParameters, type Student } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import { Command } from 'commander'
import { startPyTorch } from './pytorch/peer.js'

const CLASSES = 21

/**
 * A training step (loss, gradient, Adam) of DeepLabV3-MobileNetV2 ×1.0 with frozen BatchNorm, next to the same step in PyTorch on
 * the same cores. The two take turns, so that a noisy machine disturbs both alike; the ratio is that of the medians.
 *
 * The last line is JSON: stepMs, pytorchStepMs, ratioToPyTorch (null without PyTorch), peakRssMB of this process.
 */
export async function benchTraining(argv: string[]): Promise<void> {
  const command = new Command('training')
    .option('--steps <n>', 'steps that are timed', Number, 9)
    .option('--batch <n>', 'images a step', Number, 8)
    .option('--micro-batch <n>', 'images that go through the graph at once', Number)
    .option('--width <pixels>', 'image width', Number, 512)
    .option('--height <pixels>', 'image height', Number, 256)
    .option('--threads <n>', 'threads of either side', Number, 2)
    .option('--python <path>', 'Python that has PyTorch', '/usr/bin/python3')
    .parse(argv, { from: 'user' })
  const { steps, batch: size, microBatch, width, height, threads, python } = command.opts()
  const student = loadStudent(
    buildDeepLab({
      classes: Array.from({ length: CLASSES }, (_, i) => `class ${i}`),
      width,
      height,
      seed: 1,
    }),
    { source: 'the benchmark student' },
  )
  const batch = makeBatch(student, size)
  const parameters = readParameters(student)
  const adam = new Adam(parameters.length)
  const engine = await createEngine(student, { threads, microBatch })
  const peer = await startPyTorch({ python, width, height, classes: CLASSES, batch: size, threads })
  if (peer === undefined) console.log(`${python} has no PyTorch (Debian: python3-torch): no comparison`)
  try {
    const first = await engine.lossAndGradient(batch, parameters)
    if (peer !== undefined) {
      const count = await peer.load(parameters)
      if (count !== parameters.length)
        throw new Error(`PyTorch's network has ${count} parameters, ours ${parameters.length}`)
      await peer.batch(batch.images, batch.labels)
      const { loss, gradient } = await peer.gradient()
      console.log(
        `PyTorch ${peer.version}: loss ${loss.toFixed(6)}, ours ${first.loss.toFixed(6)}; ` +
          `gradients differ by ${difference(first.gradient, gradient).toExponential(1)} of their length`,
      )
    }
    const ours: number[] = []
    const theirs: number[] = []
    // The first of each is not timed: it allocates.
    for (let i = 0; i <= steps; i++) {
      const start = performance.now()
      const { gradient } = await engine.lossAndGradient(batch, parameters)
      adam.step(parameters, gradient)
      const ms = performance.now() - start
      const peerMs = (await peer?.step())?.ms
      if (i === 0) continue
      ours.push(ms)
      if (peerMs !== undefined) theirs.push(peerMs)
    }
    report({ ours, theirs, student, size, threads })
  } finally {
    peer?.stop()
    await engine.dispose()
  }
}

function report(run: { ours: number[]; theirs: number[]; student: Student; size: number; threads: number }) {
  const { ours, theirs, student, size, threads } = run
  const { width, height } = student.input
  const peakRssMB = process.resourceUsage().maxRSS / 1024
  const stepMs = median(ours)
  const pytorchStepMs = theirs.length > 0 ? median(theirs) : null
  console.log(
    `DeepLabV3-MobileNetV2 x1.0, ${student.parameterCount} parameters, ${width}x${height}, batch ${size}, ` +
      `${threads} threads, ${ours.length} steps each`,
  )
  console.table({
    Kestrel: row(ours),
    ...(theirs.length > 0 && { PyTorch: row(theirs) }),
  })
  console.log(
    JSON.stringify({
      stepMs: rounded(stepMs),
      pytorchStepMs: pytorchStepMs === null ? null : rounded(pytorchStepMs),
      ratioToPyTorch: pytorchStepMs === null ? null : Number((stepMs / pytorchStepMs).toFixed(3)),
      peakRssMB: rounded(peakRssMB),
    }),
  )
}

function row(values: number[]) {
  return {
    'median ms': rounded(median(values)),
    'fastest ms': rounded(Math.min(...values)),
    'slowest ms': rounded(Math.max(...values)),
  }
}

function rounded(value: number): number {
  return Number(value.toFixed(1))
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Noise with a few broad structures, labels in patches, a tenth of them missing: what it shows does not matter for the time. */
function makeBatch(student: Student, size: number): Batch {
  const { width, height } = student.input
  const rng = createRng('bench/training')
  const images = Uint8Array.from({ length: size * 3 * width * height }, (_, i) =>
    Math.floor(100 + 60 * Math.sin(i / 5000) + 60 * rng.float()),
  )
  const labels = Uint8Array.from({ length: size * width * height }, (_, i) => {
    const x = i % width
    const y = Math.floor(i / width)
    return x < width / 10 ? IGNORE : (Math.floor(x / 64) + Math.floor(y / 64)) % CLASSES
  })
  return { size, images, labels, labelHeight: height, labelWidth: width }
}

/** ‖a − b‖ / ‖b‖ */
function difference(a: Float32Array, b: Float32Array): number {
  let apart = 0
  let length = 0
  for (let i = 0; i < b.length; i++) {
    apart += (a[i] - b[i]) ** 2
    length += b[i] ** 2
  }
  return Math.sqrt(apart / length)
}
