import { type Frame, UpdateApplier } from '@kestrel/agent'
import { heldOutMiou, isLabelled, type LabelledFrame, selectCoordinates } from '@kestrel/ground-station'
import { Scaler } from '@kestrel/link'
import { encodeUpdate, type RgbImage, readParameters, toPlanar } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import { LinkMeter } from '../link-meter.js'
import type { SchemeContext } from './context.js'
import { Downlink } from './downlink.js'
import { FlyingStudent } from './flying-student.js'
import { Momentum } from './momentum.js'
import type { Scheme } from './scheme.js'
import { sendFrame } from './single-frame.js'

/**
 * Just-In-Time (JITNet: Mullapudi et al., ICCV 2019, Algorithm 1; run at the server as AMS' section 4.1 has it). Every
 * `stride` seconds one frame goes up at once. While the student's mIoU on it is below the threshold, it is trained on
 * that frame alone, with momentum, up to 8 iterations; the stride then doubles where the threshold was reached and halves
 * where not, between the time of JITNet's 8 and 64 frames at 30 fps. What was trained goes down at once.
 *
 * Assumptions: updates carry the 5 % of the weights that gradient-guided selection gives, as in AMS, since whole models
 * at this rate would be megabits a second; the stride counts time, not frames, so that it means the same at any camera rate.
 */
export async function createJit(context: SchemeContext): Promise<Scheme> {
  const { student, size, threads, clock, settings, delayS } = context
  const flying = await FlyingStudent.create(student, { size, threads })
  const start = { version: 0, parameters: readParameters(student) }
  const applier = new UpdateApplier({ student, host: flying.host, start, clock })
  const link = new LinkMeter(clock)
  const downlink = new Downlink<Uint8Array>(delayS)
  const trainer = await JitTrainer.create(context)
  const scaler = new Scaler()
  const { frameKbit, minStrideS, maxStrideS } = settings.jit
  const sent = { width: context.camera.width & ~1, height: context.camera.height & ~1 }
  let strideS = minStrideS
  let nextMs = Number.NEGATIVE_INFINITY
  const counts = { sampledFrames: 0, updates: 0, refused: 0, iterations: 0 }

  const sample = async (frame: Frame): Promise<void> => {
    const image = scaler.scale(frame.image, sent.width, sent.height)
    const decoded = await sendFrame(link, frame, image, {
      codec: settings.link.videoCodec,
      frameKbit,
      sequence: counts.sampledFrames++,
      modelVersion: applier.version,
    })
    const outcome = await trainer.train(decoded, frame)
    if (outcome === undefined) return
    counts.iterations += outcome.iterations
    strideS = outcome.accurate ? Math.min(maxStrideS, 2 * strideS) : Math.max(minStrideS, strideS / 2)
    nextMs = frame.captureMs + strideS * 1000
    if (outcome.update === undefined) return
    const { baseVersion, version, data } = outcome.update
    const message = link.down({ case: 'update', value: { baseVersion, version, part: 0, parts: 1, data } })
    downlink.send(clock.nowMs(), message.data)
  }

  return {
    name: 'jit',
    async onFrame(frame) {
      for (const data of downlink.receive(clock.nowMs())) {
        const result = link.up({ case: 'updateResult', value: await applier.apply(data) })
        if (result.applied) counts.updates++
        else counts.refused++
      }
      const labels = await flying.label(frame)
      if (frame.captureMs >= nextMs - 1e-3) await sample(frame)
      return labels
    },
    async finish() {
      const { sampledFrames, updates, refused, iterations } = counts
      const { uplinkBytes, downlinkBytes } = link
      return { uplinkBytes, downlinkBytes, updates, sampledFrames, details: { iterations, refused } }
    },
    async dispose() {
      await flying.dispose()
      scaler.dispose()
    },
  }
}

interface JitOutcome {
  accurate: boolean
  iterations: number
  /** What changed, if anything did. */
  update?: { baseVersion: number; version: number; data: Uint8Array }
}

/** The server's side: the weights in training and the momentum, carried over from frame to frame. */
class JitTrainer {
  readonly #context: SchemeContext
  readonly #engine: Awaited<ReturnType<SchemeContext['engine']>>
  readonly #optimiser: Momentum
  readonly #rng: ReturnType<typeof createRng>
  readonly #scaler = new Scaler()
  /** What was sent last, and so what the drone flies or soon will. */
  #flown: { version: number; parameters: Float32Array }
  #step: Float32Array | undefined

  private constructor(context: SchemeContext, engine: Awaited<ReturnType<SchemeContext['engine']>>) {
    const { student, settings, seed } = context
    this.#context = context
    this.#engine = engine
    this.#optimiser = new Momentum(student.parameterCount, settings.jit)
    this.#rng = createRng(`${seed}/jit`)
    this.#flown = { version: 0, parameters: readParameters(student) }
  }

  static async create(context: SchemeContext): Promise<JitTrainer> {
    return new JitTrainer(context, await context.engine())
  }

  /** @returns undefined where the teacher labels nothing in this frame */
  async train(image: RgbImage, { sourceIndex, captureMs }: Frame): Promise<JitOutcome | undefined> {
    const { student, teacher, settings, threads } = this.#context
    const { threshold, fraction } = settings.jit
    const labels = await teacher.label(image, { sourceIndex, captureMs })
    if (!isLabelled(labels)) return undefined
    const { width, height } = student.input
    const planar = toPlanar(this.#scaler.scale(image, width, height))
    const frame: LabelledFrame = { timeMs: captureMs, image: planar, labels }
    const coordinates = selectCoordinates({
      strategy: 'gradient-guided',
      parameterCount: student.parameterCount,
      fraction,
      step: this.#step,
      rng: this.#rng,
    })
    const parameters = this.#flown.parameters.slice()
    let iterations = 0
    let accurate = false
    for (;;) {
      accurate = ((await heldOutMiou(student, parameters, [frame], { threads })) ?? 0) >= threshold
      if (accurate || iterations >= settings.jit.iterations) break
      await this.#iterate(frame, parameters, coordinates)
      iterations++
    }
    if (iterations === 0) return { accurate, iterations }
    return { accurate, iterations, update: this.#encode(parameters, coordinates) }
  }

  async #iterate(
    { image, labels }: LabelledFrame,
    parameters: Float32Array,
    coordinates: Uint32Array,
  ): Promise<void> {
    const batch = {
      size: 1,
      images: image,
      labels: labels.data,
      labelHeight: labels.height,
      labelWidth: labels.width,
    }
    const { gradient } = await this.#engine.lossAndGradient(batch, parameters)
    this.#step = this.#optimiser.step(parameters, gradient, coordinates)
  }

  #encode(parameters: Float32Array, indices: Uint32Array): JitOutcome['update'] {
    const { version: baseVersion, parameters: base } = this.#flown
    const version = baseVersion + 1
    const values = Float32Array.from(indices, index => parameters[index])
    const { settings } = this.#context
    const codec = settings.codec === 'paper' ? 'paper' : 'delta'
    const encoded = encodeUpdate({ codec, baseVersion, version, base, indices, values })
    this.#flown = { version, parameters: encoded.parameters }
    return { baseVersion, version, data: encoded.bytes }
  }
}
