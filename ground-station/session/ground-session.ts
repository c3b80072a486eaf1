import type { Segment } from '@kestrel/link'
import { readParameters, type Student } from '@kestrel/models'
import { type Clock, createRng, type Log, messageOf } from '@kestrel/runtime'
import type { TrainingEngine } from '../training/engine.js'
import { classWeights } from '../training/loss/class-weights.js'
import type { Draft, ModelReport, ModelVersion, OutgoingUpdate } from './chain.js'
import { selectCoordinates } from './coordinates.js'
import { Delivery } from './delivery.js'
import { holdOutCount, judge } from './gate.js'
import type { SessionInit } from './init.js'
import { SegmentIntake, type SegmentIntakeResult } from './intake.js'
import { LearnedWeights } from './learned-weights.js'
import { type SessionOptions, sessionOptions } from './options.js'
import { type PhaseResult, trainPhase } from './phase.js'
import { type LabelledFrame, ReplayBuffer } from './replay-buffer.js'
import type { PhaseReport, UpdateAnswer } from './report.js'
import { RollBack } from './roll-back.js'
import { nextSamplingRate } from './sampling-rate.js'
import { belongsTo, knownVersions, type SessionState, stateOwner } from './state.js'
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
  readonly #buffer: ReplayBuffer
  readonly #intake: SegmentIntake
  readonly #rollBack: RollBack
  readonly #delivery: Delivery
  readonly #weights: LearnedWeights
  #phase = 0
  #samplingFps: number
  #rate: TrainingRate
  #refusedInRow = 0

  constructor(options: SessionInit) {
    const { student, engine, teacher, clock, start, state, threads, log } = options
    this.options = sessionOptions(options.options)
    const { horizonS, halfLifeS, maxFrames, maxBufferMB, asr, updatePeriodS } = this.options
    this.#student = student
    this.#engine = engine
    this.#clock = clock
    this.#log = log
    this.#threads = threads
    this.#buffer = new ReplayBuffer({
      horizonMs: horizonS * 1000,
      halfLifeMs: halfLifeS === 0 ? undefined : halfLifeS * 1000,
      maxFrames,
      maxBytes: maxBufferMB * 1e6,
    })
    this.#intake = new SegmentIntake({ student, teacher, buffer: this.#buffer, log })
    this.#rollBack = new RollBack({ student, threads, options: this.options.rollBack, log })
    const saved = state !== undefined && belongsTo(state, student) ? state : undefined
    if (state !== saved) {
      log.warn(
        'The saved training state belongs to another student file: starting from the student as shipped',
      )
    }
    this.#delivery = this.#createDelivery(readParameters(student), start, saved)
    this.#weights = new LearnedWeights({ start: this.flown.parameters, saved, adam: this.options })
    this.#samplingFps = asr.fps
    this.#rate = { periodS: updatePeriodS, rates: [] }
    if (saved === undefined) return
    this.#restore(saved)
    for (const frame of options.frames ?? []) this.#buffer.add(frame)
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
    const live = await this.#rollBack.look(this.#newest(newFrames), this.#delivery)
    const rng = createRng(`${seed}/phase/${this.#phase}`)
    const canTrain = newFrames > 0 && this.#buffer.length > heldOut && !this.#delivery.awaitsRollBack
    const { parameterCount, classes } = this.#student
    const result = await trainPhase({
      engine: this.#engine,
      parameters: this.#weights.parameters,
      adam: this.#weights.adam,
      buffer: this.#buffer,
      coordinates: selectCoordinates({ strategy, parameterCount, fraction, step: this.#weights.step, rng }),
      iterations: canTrain ? iterations : 0,
      batchSize,
      classWeights: classWeights(this.#buffer.pixelCounts(heldOut), classes.length, classBalance),
      exclude: heldOut,
      rng,
      ...(this.options.fitPeriod && { budget: { ms: BUSY * 1000 * this.#rate.periodS, clock: this.#clock } }),
      shouldStop: options.shouldStop,
    })
    this.#sayShort(result)
    this.#weights.step = result.step ?? this.#weights.step
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
    else if (this.#delivery.awaitsRollBack) this.#rollBack.awaitDrone(report, this.#delivery)
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
    return this.#rollBack.reject(this.#delivery)
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
      samplingFps: this.#samplingFps,
      periodS: this.#rate.periodS,
      rates: this.#rate.rates,
      refusedInRow: this.#refusedInRow,
      previousVersion: previous.version,
      rejected,
      flown: flown.parameters,
      ...this.#weights.state(),
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

  /** The newest labelled frames, oldest first. */
  #newest(count: number): readonly LabelledFrame[] {
    const { frames } = this.#buffer
    return frames.slice(Math.max(0, frames.length - count))
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
      draft = this.#delivery.draft(this.#weights.parameters)
      if (draft === undefined) report.reason = 'the weights are as they were'
    } catch (error) {
      report.reason = messageOf(error)
      this.#restart('Training has diverged')
    }
    if (draft === undefined) return
    const verdict = await judge(this.#student, {
      flown: this.flown.parameters,
      candidate: draft.result.parameters,
      frames: this.#newest(report.heldOut),
      threads: this.#threads,
    })
    report.holdOutBefore = verdict.before
    report.holdOutAfter = verdict.after
    if (verdict.passes) {
      this.#refusedInRow = 0
      this.#weights.parameters.set(draft.result.parameters)
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
    this.#weights.restart(this.flown.parameters)
  }

  #createDelivery(
    shipped: Float32Array,
    start: SessionInit['start'],
    saved: SessionState | undefined,
  ): Delivery {
    const { codec, movementBits, historyVersions } = this.options
    return new Delivery({
      chain: {
        shipped,
        codec,
        movementBits,
        historyVersions,
        flown: start,
        ...(saved && knownVersions(saved)),
      },
      rejected: saved?.rejected,
      clock: this.#clock,
      log: this.#log,
      onRounded: (target, result) => this.#weights.takeRounding(target, result),
      onSwap: before => this.#rollBack.onSwap(before, this.#intake.newFrames),
      onRolledBack: () => {
        this.#rollBack.end()
        this.#restart('The drone went back to earlier weights')
      },
    })
  }

  /** What weights and delivery have not taken from the state of an earlier process yet. */
  #restore(state: SessionState): void {
    const { updatePeriodS, atr } = this.options
    this.#phase = state.phase
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
