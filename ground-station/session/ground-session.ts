import type { Segment } from '@kestrel/link'
import { readParameters, type Student } from '@kestrel/models'
import { type Clock, createRng, type Log, messageOf } from '@kestrel/runtime'
import { Adam } from '../training/adam.js'
import type { TrainingEngine } from '../training/engine.js'
import { classWeights } from '../training/loss/class-weights.js'
import type { Draft, ModelReport, ModelVersion, OutgoingUpdate } from './chain.js'
import { selectCoordinates } from './coordinates.js'
import { Delivery } from './delivery.js'
import { holdOutCount, judge } from './gate.js'
import type { SessionInit } from './init.js'
import { SegmentIntake, type SegmentIntakeResult } from './intake.js'
import { type SessionOptions, sessionOptions } from './options.js'
import { type PhaseResult, trainPhase } from './phase.js'
import { ReplayBuffer } from './replay-buffer.js'
import type { PhaseReport, UpdateAnswer } from './report.js'
import { nextSamplingRate } from './sampling-rate.js'
import { type SessionState, stateOwner } from './state.js'
import { type LiveScores, SwapWatch } from './swap-watch.js'
import { nextTrainingRate, type TrainingRate } from './training-rate.js'

/** Share of T_update that training may take; labels, the gate and encoding need the rest. */
const BUSY = 0.7

/**
 * One drone's flight with its training state: the ground side of AMS (DESIGN.md section 3). Plain logic without sockets and
 * timers, deterministic for a seed. Calls must not overlap.
 */
export class GroundSession {
  readonly options: SessionOptions
  /** The last phase had to end before all K iterations were made, and that was said. */
  #saidShort = false
  readonly #student: Student
  readonly #engine: TrainingEngine
  readonly #clock: Clock
  readonly #log: Log
  readonly #threads: number | undefined
  readonly #shipped: Float32Array
  readonly #buffer: ReplayBuffer
  readonly #intake: SegmentIntake
  readonly #watch: SwapWatch
  #delivery: Delivery
  #adam: Adam
  /** w, [P]: what is being trained. */
  #trained: Float32Array
  /** u of the previous phase. */
  #step: Float32Array | undefined
  #phase = 0
  #samplingFps: number
  #rate: TrainingRate
  #refusedInRow = 0

  constructor(options: SessionInit) {
    const { student, engine, teacher, clock, start, state, threads, log } = options
    this.options = sessionOptions(options.options)
    const { horizonS, maxFrames, maxBufferMB, asr, updatePeriodS } = this.options
    this.#student = student
    this.#engine = engine
    this.#clock = clock
    this.#log = log
    this.#threads = threads
    this.#shipped = readParameters(student)
    this.#buffer = new ReplayBuffer({ horizonMs: horizonS * 1000, maxFrames, maxBytes: maxBufferMB * 1e6 })
    this.#intake = new SegmentIntake({ student, teacher, buffer: this.#buffer, log })
    this.#watch = new SwapWatch({ student, threads, options: this.options.rollBack })
    this.#delivery = this.#createDelivery({ flown: start })
    this.#trained = Float32Array.from(this.#delivery.flown.parameters)
    this.#adam = new Adam(student.parameterCount, this.options)
    this.#samplingFps = asr.fps
    this.#rate = { periodS: updatePeriodS, rates: [] }
    if (state !== undefined) this.#restore(state)
  }

  /** What the drone flies as far as the ground knows. */
  get flown(): ModelVersion {
    return this.#delivery.flown
  }

  /** r, frames/s. */
  get samplingFps(): number {
    return this.#samplingFps
  }

  /** T_update, s. */
  get updatePeriodS(): number {
    return this.#rate.periodS
  }

  /** Labelled frames that no phase has seen. */
  get newFrames(): number {
    return this.#intake.newFrames
  }

  /** The update that is under way, if any. */
  get pending(): OutgoingUpdate | undefined {
    return this.#delivery.pending
  }

  /**
   * Decodes a segment, labels its frames and adds them to the replay buffer.
   *
   * @throws UserError where the teacher has no answer; MessageRefused where the clip cannot be decoded
   */
  addSegment(segment: Segment): Promise<SegmentIntakeResult> {
    return this.#intake.add(segment)
  }

  /**
   * One training phase on what has arrived, then ASR, ATR, the hold-out gate and, where it passes, an update.
   *
   * @param options.shouldStop asked between iterations: true ends the phase early, without an update
   */
  async runPhase(options: { shouldStop?: () => boolean } = {}): Promise<PhaseReport> {
    const startMs = this.#clock.nowMs()
    const { fraction, strategy, iterations, batchSize, classBalance, holdOutFraction, seed } = this.options
    const { newFrames, phi } = this.#intake.take()
    const heldOut = Math.min(holdOutCount(newFrames, holdOutFraction), this.#buffer.length)
    this.#phase++
    this.#delivery.beginPhase()
    const live = await this.#lookAtSwap(newFrames)
    const rng = createRng(`${seed}/phase/${this.#phase}`)
    const canTrain = newFrames > 0 && this.#buffer.length > heldOut && !this.#delivery.awaitsRollBack
    const { parameterCount, classes } = this.#student
    const result = await trainPhase({
      engine: this.#engine,
      parameters: this.#trained,
      adam: this.#adam,
      buffer: this.#buffer,
      coordinates: selectCoordinates({ strategy, parameterCount, fraction, step: this.#step, rng }),
      iterations: canTrain ? iterations : 0,
      batchSize,
      classWeights: classWeights(this.#buffer.pixelCounts(heldOut), classes.length, classBalance),
      exclude: heldOut,
      rng,
      ...(this.options.fitPeriod && { budget: { ms: BUSY * 1000 * this.#rate.periodS, clock: this.#clock } }),
      shouldStop: options.shouldStop,
    })
    this.#sayShort(result)
    this.#step = result.step ?? this.#step
    if (result.skipped > 0) {
      this.#log.warn(
        `Phase ${this.#phase}: ${result.skipped} iterations gave no finite gradient and were left out`,
      )
    }
    this.#adaptRates(phi)
    const trained = result.iterations > 0
    const report: PhaseReport = {
      phase: this.#phase,
      trained,
      iterations: result.iterations,
      loss: result.loss,
      frames: this.#buffer.length,
      heldOut,
      ...(live === undefined ? {} : { live }),
      sent: false,
      samplingFps: this.#samplingFps,
      updatePeriodS: this.#rate.periodS,
      ...(phi === undefined ? {} : { phi }),
      durationMs: 0,
    }
    if (options.shouldStop?.()) report.reason = 'stopped before the phase was complete'
    else if (this.#delivery.awaitsRollBack) this.#awaitRollBack(report)
    else if (trained || this.#delivery.pending !== undefined) await this.#offer(report)
    else if (result.skipped > 0) report.reason = 'no iteration gave a finite gradient'
    else
      report.reason = newFrames === 0 ? 'no new frames' : `only ${this.#buffer.length} labelled frames so far`
    report.durationMs = this.#clock.nowMs() - startMs
    return report
  }

  #sayShort({ short, iterations, iterationMs }: PhaseResult): void {
    if (short === this.#saidShort || iterations === 0) return
    this.#saidShort = short
    const wanted = this.options.iterations
    if (short) {
      this.#log.info(
        `An iteration takes ${(iterationMs / 1000).toFixed(2)} s here, so that ${iterations} of ${wanted} fit into T_update: K adapts to the time there is`,
      )
    } else this.#log.info(`All ${wanted} iterations fit into T_update again`)
  }

  /**
   * Takes the drone's answer to an update. A refusal leaves the flown weights as they are; the next update covers what this
   * one would have changed.
   *
   * @returns an update to send at once, where the answer shows that the drone flies something else than thought
   */
  acknowledge(answer: UpdateAnswer): OutgoingUpdate | undefined {
    return this.#delivery.acknowledge(answer)
  }

  /**
   * Takes what the drone says it flies (status, resync).
   *
   * @returns an update to send now: the one under way again where it was not applied (and not sent
   *   within the last 2 s), or what brings the drone to the ground's weights
   */
  reconcile(report: ModelReport): OutgoingUpdate | undefined {
    return this.#delivery.reconcile(report)
  }

  /**
   * Has the drone fly the version before again, and not take the one that it flies a second time: `rejectDigest` goes to it. Training
   * goes on from where it went back to.
   *
   * @returns false where it flies the student as shipped: nothing is before that
   */
  reject(): boolean {
    this.#watch.end()
    return this.#delivery.reject()
  }

  /** SHA-256 of the weights that turned out bad last; the drone is told with everything else that it is to do. */
  get rejectDigest(): Uint8Array | undefined {
    const hex = this.#delivery.rejected.at(-1)
    return hex === undefined ? undefined : Uint8Array.from(Buffer.from(hex, 'hex'))
  }

  /** What to save; the arrays are the session's own: write them before the next phase. */
  state(): SessionState {
    const { flown, previous, issued, pending, rejected } = this.#delivery
    return {
      ...stateOwner(this.#student),
      phase: this.#phase,
      flownVersion: flown.version,
      issued,
      adamSteps: this.#adam.i,
      samplingFps: this.#samplingFps,
      periodS: this.#rate.periodS,
      rates: this.#rate.rates,
      refusedInRow: this.#refusedInRow,
      previousVersion: previous.version,
      rejected,
      flown: flown.parameters,
      trained: this.#trained,
      m: this.#adam.m,
      v: this.#adam.v,
      step: this.#step ?? new Float32Array(0),
      pending: pending?.bytes ?? new Uint8Array(0),
      // The shipped weights are in the student's file.
      previous: previous.version === 0 ? new Float32Array(0) : previous.parameters,
    }
  }

  #adaptRates(phi: number | undefined): void {
    const { asr, atr, updatePeriodS } = this.options
    this.#samplingFps = nextSamplingRate(this.#samplingFps, phi, asr)
    this.#rate = nextTrainingRate(this.#rate, this.#samplingFps, updatePeriodS, atr)
  }

  /** Compares the swap before on frames that came after it, and has the drone go back where it was for the worse. */
  async #lookAtSwap(newFrames: number): Promise<LiveScores | undefined> {
    const { frames } = this.#buffer
    const live = await this.#watch.look(
      frames.slice(Math.max(0, frames.length - newFrames)),
      this.flown.parameters,
    )
    // An update under way may fly by now: its own frames will judge it.
    if (live === undefined || this.#delivery.pending !== undefined || !this.#watch.fell(live)) return live
    const percent = (miou: number) => `${(100 * miou).toFixed(1)} %`
    const { version } = this.flown
    if (this.reject()) {
      this.#log.warn(
        `Version ${version} turned out worse than the one before: mIoU ${percent(live.after)}, not ${percent(live.before)}, on ${live.frames} frames ` +
          'since the swap. The drone is to go back',
      )
    }
    return live
  }

  #awaitRollBack(report: PhaseReport): void {
    report.reason = `the drone has not gone back from version ${this.flown.version} yet`
    report.update = this.#delivery.sendBackAfterWaiting()
    report.sent = report.update !== undefined
  }

  /** Encodes an update, lets the gate judge what the drone would hold, and puts it under way. */
  async #offer(report: PhaseReport): Promise<void> {
    const waiting = this.#delivery.pending
    if (waiting !== undefined) {
      report.reason = `the drone has not answered update ${waiting.version} yet`
      report.update = this.#delivery.resendAfterWaiting()
      report.sent = report.update !== undefined
      return
    }
    let draft: Draft | undefined
    try {
      draft = this.#delivery.draft(this.#trained)
      if (draft === undefined) report.reason = 'the weights are as they were'
    } catch (error) {
      report.reason = messageOf(error)
      this.#restart('Training has diverged')
    }
    if (draft === undefined) return
    const frames = this.#buffer.frames.slice(this.#buffer.length - report.heldOut)
    const verdict = await judge(this.#student, {
      flown: this.flown.parameters,
      candidate: draft.result.parameters,
      frames,
      threads: this.#threads,
    })
    report.holdOutBefore = verdict.before
    report.holdOutAfter = verdict.after
    if (verdict.passes) {
      this.#refusedInRow = 0
      this.#trained.set(draft.result.parameters)
      report.update = this.#delivery.send(draft)
    } else {
      report.reason = 'worse on the held-out frames than what flies'
      if (++this.#refusedInRow >= this.options.resetAfterRefusals) {
        this.#restart(`${this.#refusedInRow} phases in a row made the student worse`)
      }
      // A drone that flies something unknown is brought home with the weights that were good last.
      if (this.#delivery.droneIsUnknown) report.update = this.#delivery.heal(this.flown.parameters)
    }
    report.sent = report.update !== undefined
  }

  /** Training went astray: begin again from what flies, with fresh moments. */
  #restart(why: string): void {
    this.#log.warn(`${why}: training restarts from what the drone flies`)
    this.#refusedInRow = 0
    this.#trained.set(this.flown.parameters)
    this.#adam = new Adam(this.#student.parameterCount, this.options)
    this.#step = undefined
  }

  #createDelivery(init: {
    flown?: { version: number; parameters: Float32Array }
    previous?: { version: number; parameters: Float32Array }
    issued?: number
    rejected?: string[]
  }): Delivery {
    const { codec, movementBits, historyVersions } = this.options
    const { rejected, ...known } = init
    return new Delivery({
      chain: { shipped: this.#shipped, codec, movementBits, historyVersions, ...known },
      rejected,
      clock: this.#clock,
      log: this.#log,
      // The training copy takes the rounding of what was sent, so that both sides stay bit-identical.
      onRounded: (target, result) => {
        for (let i = 0; i < target.length; i++)
          if (this.#trained[i] === target[i]) this.#trained[i] = result[i]
      },
      onSwap: before => {
        if (before === undefined) this.#watch.end()
        else this.#watch.begin(before.parameters, this.#intake.newFrames)
      },
      onRolledBack: () => {
        this.#watch.end()
        this.#restart('The drone went back to earlier weights')
      },
    })
  }

  #restore(state: SessionState): void {
    const { layoutDigest, shippedDigest } = stateOwner(this.#student)
    if (state.layoutDigest !== layoutDigest || state.shippedDigest !== shippedDigest) {
      this.#log.warn(
        'The saved training state belongs to another student file: starting from the student as shipped',
      )
      return
    }
    const { previous, rejected, issued } = state
    this.#delivery = this.#createDelivery({
      flown: { version: state.flownVersion, parameters: state.flown },
      ...(previous.length > 0 && { previous: { version: state.previousVersion, parameters: previous } }),
      issued,
      rejected,
    })
    this.#trained = state.trained
    this.#adam.m.set(state.m)
    this.#adam.v.set(state.v)
    this.#adam.i = state.adamSteps
    this.#step = state.step.length > 0 ? state.step : undefined
    this.#phase = state.phase
    const { updatePeriodS, atr } = this.options
    this.#samplingFps = state.samplingFps
    const periodS = Math.min(Math.max(state.periodS, updatePeriodS), atr.maxFactor * updatePeriodS)
    this.#rate = { periodS, rates: state.rates }
    this.#refusedInRow = state.refusedInRow
    try {
      if (state.pending.length > 0) this.#delivery.resume(state.pending)
    } catch (error) {
      this.#log.warn(`The update that was under way is given up: ${messageOf(error)}`)
    }
  }
}
