import type { Student } from '@kestrel/models'
import type { Log } from '@kestrel/runtime'
import type { ModelVersion } from './chain.js'
import type { Delivery } from './delivery.js'
import type { SessionOptions } from './options.js'
import type { LabelledFrame } from './replay-buffer.js'
import type { PhaseReport } from './report.js'
import { type LiveScores, SwapWatch } from './swap-watch.js'

/** The way back: watches each swap, and where it was for the worse has the drone fly the version before again. */
export class RollBack {
  readonly #watch: SwapWatch
  readonly #log: Log

  constructor(options: {
    student: Student
    threads?: number
    options: SessionOptions['rollBack']
    log: Log
  }) {
    this.#watch = new SwapWatch(options)
    this.#log = options.log
  }

  /**
   * The drone flies other weights.
   *
   * @param before what it flew, where it applied an update: the swap is watched
   * @param labelled as in `SwapWatch.begin`
   */
  onSwap(before: ModelVersion | undefined, labelled: number): void {
    if (before === undefined) this.#watch.end()
    else this.#watch.begin(before.parameters, labelled)
  }

  end(): void {
    this.#watch.end()
  }

  /** Compares the swap before on frames that came after it, and has the drone go back where it was for the worse. */
  async look(frames: readonly LabelledFrame[], delivery: Delivery): Promise<LiveScores | undefined> {
    const { version, parameters } = delivery.flown
    const live = await this.#watch.look(frames, parameters)
    // An update under way may fly by now: its own frames will judge it.
    if (live === undefined || delivery.pending !== undefined || !this.#watch.fell(live)) return live
    const percent = (miou: number) => `${(100 * miou).toFixed(1)} %`
    if (this.reject(delivery)) {
      this.#log.warn(
        `Version ${version} turned out worse than the one before: mIoU ${percent(live.after)}, not ${percent(live.before)}, on ${live.frames} frames ` +
          'since the swap. The drone is to go back',
      )
    }
    return live
  }

  /** See `GroundSession.reject`. */
  reject(delivery: Delivery): boolean {
    this.#watch.end()
    return delivery.reject()
  }

  /** What a phase does while the drone flies weights that were rejected. */
  awaitDrone(report: PhaseReport, delivery: Delivery): void {
    report.reason = `the drone has not gone back from version ${delivery.flown.version} yet`
    report.update = delivery.sendBackAfterWaiting()
    report.sent = report.update !== undefined
  }
}
