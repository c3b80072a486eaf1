import { InProcessHost, SlotStore } from '@kestrel/agent'
import { Scaler } from '@kestrel/link'
import { type LabelMap, resizeLabels, type Student, withParameters } from '@kestrel/models'
import { RealClock, silentLog } from '@kestrel/runtime'
import { Scorer } from '../metric/scorer.js'
import { filmedFrames, type JudgedFrames, simulatedFrames } from './judged-frames.js'

/** From one judged frame to the next, ms: it takes the time of the processes that are being watched. */
const EVERY_MS = 1500

/**
 * Judges the flown student and the frozen one on the same frames, against the teacher's labels. The flown weights are read from where the
 * drone keeps them, so what is judged is what flies.
 */
export class Judge {
  /** mIoU of the trailing 10 s, percent. */
  adapting: number | undefined
  frozen: number | undefined
  readonly #student: Student
  readonly #source: string
  readonly #teacherSpec: string
  readonly #store: SlotStore
  readonly #scaler = new Scaler()
  readonly #stopping = new AbortController()
  readonly #scores: { adapting: Scorer; frozen: Scorer }
  #flown: InProcessHost | undefined
  #shipped: InProcessHost | undefined
  #frames: JudgedFrames | undefined
  #wanted = 0
  #loaded = 0
  #running: Promise<void> | undefined

  /** @param options.source of the camera, live; the very one of the drone */
  constructor(options: {
    student: Student
    source: string
    teacher: string
    weights: string
    durationS: number
  }) {
    const { student, durationS } = options
    this.#student = student
    this.#source = options.source
    this.#teacherSpec = options.teacher
    this.#store = new SlotStore({ folder: options.weights, student, log: silentLog })
    const classes = student.classes.length
    this.#scores = {
      adapting: new Scorer(classes, { durationS }),
      frozen: new Scorer(classes, { durationS }),
    }
  }

  async start(): Promise<void> {
    const clock = new RealClock()
    const { classes } = this.#student
    this.#frames = this.#source.startsWith('sim:')
      ? simulatedFrames(this.#source, { studentClasses: classes, clock })
      : await filmedFrames(this.#source, this.#teacherSpec, { studentClasses: classes, clock })
    this.#flown = await InProcessHost.create(this.#student, this.#student.bytes, { threads: 1 })
    this.#shipped = await InProcessHost.create(this.#student, this.#student.bytes, { threads: 1 })
    this.#running = this.#run(this.#frames, clock.nowMs(), clock)
  }

  /** The drone says that it flies another version. */
  follow(version: number): void {
    this.#wanted = version
  }

  /** mIoU over the whole flight, percent. */
  whole(): { adapting: number | undefined; frozen: number | undefined } {
    const percent = (scorer: Scorer) => {
      const { miouWindow } = scorer.score()
      return miouWindow === undefined ? undefined : 100 * miouWindow
    }
    return { adapting: percent(this.#scores.adapting), frozen: percent(this.#scores.frozen) }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#frames?.stop()
    await this.#running
    await this.#flown?.release()
    await this.#shipped?.release()
    this.#scaler.dispose()
  }

  async #run(frames: JudgedFrames, beganMs: number, clock: RealClock): Promise<void> {
    const { signal } = this.#stopping
    const { width, height } = this.#student.input
    while (!signal.aborted) {
      const frame = await frames.next(signal).catch(() => undefined)
      if (frame === undefined || signal.aborted) return
      await this.#load()
      const truth = resizeLabels(frame.truth, width, height)
      const seen = this.#scaler.scale(frame.image, width, height)
      const t = (frame.captureMs - beganMs) / 1000
      const judge = async (host: InProcessHost, scorer: Scorer) => {
        const labels: LabelMap = await host.label(seen)
        const miou = scorer.add(t, truth.data, labels.data)
        return miou === undefined ? undefined : 100 * miou
      }
      this.adapting = await judge(this.#flown!, this.#scores.adapting)
      this.frozen = await judge(this.#shipped!, this.#scores.frozen)
      await clock.sleep(EVERY_MS, signal)
    }
  }

  async #load(): Promise<void> {
    if (this.#wanted === this.#loaded) return
    const [{ version, parameters }] = await this.#store.load()
    await this.#flown!.load(withParameters(this.#student, parameters))
    await this.#flown!.swap()
    this.#loaded = version
    if (version < this.#wanted) this.#wanted = version
  }
}
