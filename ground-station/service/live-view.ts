import { encodeJpeg, Scaler } from '@kestrel/link'
import {
  argmaxUpsampled,
  ConfusionMatrix,
  type LabelMap,
  type RgbImage,
  resizeLabels,
  type Student,
  StudentRunner,
  withParameters,
} from '@kestrel/models'
import type { ModelVersion } from '../session/chain.js'
import type { SeenFrame } from '../session/intake.js'

/** Counts over pixels from which the IoU of each class follows; [C] each. */
export interface ClassCounts {
  intersection: number[]
  union: number[]
  /** Pixels that the teacher gives this class; mIoU is over those that have some. */
  truth: number[]
}

/** How one frame is labelled by what flies and by the student as shipped, against the teacher. */
export interface FrameScore {
  /** When the frame was taken, Unix time in ms of the drone's clock. */
  captureMs: number
  sourceIndex: number
  /** mIoU 0..1 of this frame alone. */
  adapting: number
  frozen: number
  counts: { adapting: ClassCounts; frozen: ClassCounts }
}

/** The newest frame of a segment with its labels by teacher, flown and shipped student, and how they score. */
export interface LiveView {
  /** When the picture was taken, Unix time in ms of the drone's clock. */
  captureMs: number
  /** What the ground takes for flown. */
  modelVersion: number
  /** JPEG. */
  picture: { width: number; height: number; jpeg: Uint8Array }
  /** All of the student's size. */
  labels: { teacher: LabelMap; student: LabelMap; frozen: LabelMap }
  /** Of the frames of this segment that were looked at, oldest first. */
  scores: FrameScore[]
  /** mIoU 0..1 over all pixels of the frames of the trailing window. */
  window: { frames: number; adapting: number; frozen: number }
}

/** Wider pictures are made smaller: this is for looking at. */
const MAX_PICTURE_WIDTH = 640

/** What is looked at of a drone's flight: labels frames with the flown and the shipped weights, beside the teacher's labels. */
export class LiveViewer {
  readonly #student: Student
  readonly #threads: number | undefined
  readonly #framesPerSegment: number
  readonly #windowMs: number
  readonly #scaler = new Scaler()
  #shipped: StudentRunner | undefined
  #flown: { parameters: Float32Array; runner: StudentRunner } | undefined
  #window: { captureMs: number; adapting: ConfusionMatrix; frozen: ConfusionMatrix }[] = []

  /**
   * @param options.framesPerSegment frames that are scored of each segment, the newest and others spread over it; 0: none
   * @param options.windowS the trailing window of the scores, s of the drone's clock
   */
  constructor(options: {
    student: Student
    threads?: number
    framesPerSegment: number
    windowS: number
  }) {
    this.#student = options.student
    this.#threads = options.threads
    this.#framesPerSegment = options.framesPerSegment
    this.#windowMs = 1000 * options.windowS
  }

  /**
   * Looks at what a segment brought.
   *
   * @returns undefined where nothing is to be looked at
   */
  async look(seen: readonly SeenFrame[], flown: ModelVersion): Promise<LiveView | undefined> {
    const chosen = spread(seen, this.#framesPerSegment)
    const newest = chosen.at(-1)
    if (newest === undefined) return undefined
    const runner = await this.#follow(flown.parameters)
    this.#shipped ??= await StudentRunner.create(this.#student, this.#student.bytes, {
      threads: this.#threads,
    })
    const scores: FrameScore[] = []
    let labels: LiveView['labels'] | undefined
    for (const frame of chosen) {
      const { teacher, student, frozen } = (labels = {
        teacher: this.#atStudentSize(frame.labels),
        student: await this.#label(runner, frame.planar),
        frozen: await this.#label(this.#shipped, frame.planar),
      })
      const adapting = this.#compare(teacher, student)
      const shipped = this.#compare(teacher, frozen)
      const { captureMs, sourceIndex } = frame
      this.#window.push({ captureMs, adapting, frozen: shipped })
      const miou = { adapting: adapting.miou(), frozen: shipped.miou() }
      if (miou.adapting === undefined || miou.frozen === undefined) continue
      scores.push({
        captureMs,
        sourceIndex,
        adapting: miou.adapting,
        frozen: miou.frozen,
        counts: { adapting: classCounts(adapting), frozen: classCounts(shipped) },
      })
    }
    const from = newest.captureMs - this.#windowMs
    // A clock that was set back must not keep old frames for ever.
    this.#window = this.#window.filter(({ captureMs }) => captureMs > from && captureMs <= newest.captureMs)
    return {
      captureMs: newest.captureMs,
      modelVersion: flown.version,
      picture: await this.#picture(newest.image),
      labels: labels!,
      scores,
      window: this.#trailing(),
    }
  }

  async release(): Promise<void> {
    await this.#shipped?.release()
    await this.#flown?.runner.release()
    this.#shipped = this.#flown = undefined
    this.#scaler.dispose()
  }

  /** The runner of what flies: made anew when that changes. */
  async #follow(parameters: Float32Array): Promise<StudentRunner> {
    if (this.#flown?.parameters === parameters) return this.#flown.runner
    const bytes = withParameters(this.#student, parameters)
    const runner = await StudentRunner.create(this.#student, bytes, { threads: this.#threads })
    await this.#flown?.runner.release()
    this.#flown = { parameters, runner }
    return runner
  }

  async #label(runner: StudentRunner, planar: Uint8Array): Promise<LabelMap> {
    const { width, height } = this.#student.input
    const logits = await runner.logits(planar)
    const { classes } = this.#student.output
    const data = argmaxUpsampled(logits.data, classes, logits.height, logits.width, height, width)
    return { width, height, data }
  }

  #atStudentSize(labels: LabelMap): LabelMap {
    const { width, height } = this.#student.input
    return resizeLabels(labels, width, height)
  }

  #compare(truth: LabelMap, found: LabelMap): ConfusionMatrix {
    const matrix = new ConfusionMatrix(this.#student.output.classes)
    matrix.add(truth, found)
    return matrix
  }

  #trailing(): LiveView['window'] {
    const total = (side: 'adapting' | 'frozen') => {
      const sum = new ConfusionMatrix(this.#student.output.classes)
      for (const frame of this.#window) sum.addMatrix(frame[side])
      return sum.miou() ?? Number.NaN
    }
    return { frames: this.#window.length, adapting: total('adapting'), frozen: total('frozen') }
  }

  async #picture(image: RgbImage): Promise<LiveView['picture']> {
    const width = Math.min(image.width, MAX_PICTURE_WIDTH)
    const height = Math.max(1, Math.round((image.height * width) / image.width))
    const jpeg = await encodeJpeg(this.#scaler.scale(image, width, height))
    return { width, height, jpeg }
  }
}

/** The last one, and others at even distances before it, `count` in all; oldest first. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (count <= 0) return []
  if (items.length <= count) return [...items]
  return Array.from({ length: count }, (_, i) => items[Math.ceil(((i + 1) * items.length) / count) - 1])
}

/** What IoU is made of, for each class. */
export function classCounts({ classes, counts, missed }: ConfusionMatrix): ClassCounts {
  const each = Array.from({ length: classes }, (_, k) => k)
  const at = (row: number, column: number) => counts[row * classes + column]
  const intersection = each.map(k => at(k, k))
  const truth = each.map(k => missed[k] + each.reduce((sum, j) => sum + at(k, j), 0))
  const found = each.map(k => each.reduce((sum, j) => sum + at(j, k), 0))
  return { intersection, truth, union: each.map(k => truth[k] + found[k] - intersection[k]) }
}
