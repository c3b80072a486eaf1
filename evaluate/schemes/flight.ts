import { type Frame, Sampler, Segmenter, sampledSize, UpdateApplier, UpdateParts } from '@kestrel/agent'
import {
  type GroundSession,
  type OutgoingUpdate,
  type PhaseReport,
  updateParts,
} from '@kestrel/ground-station'
import type { Segment, Update } from '@kestrel/link'
import { readParameters } from '@kestrel/models'
import { LinkMeter } from '../link-meter.js'
import type { SchemeContext } from './context.js'
import { Downlink } from './downlink.js'
import type { FlyingStudent } from './flying-student.js'

/**
 * A drone and its ground session, joined by a counted link in the place of MQTT: the same sampler, segmenter, applier and
 * session as the two processes run.
 */
export class Flight {
  readonly link: LinkMeter
  /** Updates that the drone applied, refused, and went back from. */
  applied = 0
  refused = 0
  rolledBack = 0
  sampledFrames = 0
  readonly #clock: SchemeContext['clock']
  readonly #session: GroundSession
  readonly #sampler: Sampler
  readonly #segmenter: Segmenter
  readonly #applier: UpdateApplier
  readonly #parts: UpdateParts
  readonly #downlink: Downlink<Update>

  /** @param options.samplingFps r at the start, frames/s */
  constructor(options: {
    context: SchemeContext
    flying: FlyingStudent
    session: GroundSession
    samplingFps: number
    periodS: number
  }) {
    const { context, flying, session, samplingFps, periodS } = options
    const { student, camera, clock, settings, delayS } = context
    this.link = new LinkMeter(clock)
    this.#clock = clock
    this.#session = session
    this.#sampler = new Sampler({ fps: samplingFps })
    this.#segmenter = new Segmenter({
      codec: settings.link.videoCodec,
      uplinkKbps: settings.link.uplinkKbps,
      periodS,
      ...sampledSize(camera, student.input),
    })
    this.#applier = new UpdateApplier({
      student,
      host: flying.host,
      start: { version: 0, parameters: readParameters(student) },
      clock,
    })
    this.#parts = new UpdateParts(student)
    this.#downlink = new Downlink(delayS)
  }

  /** Samples the frame, if it is its turn. */
  offer(frame: Frame): void {
    if (!this.#sampler.offer(frame.captureMs)) return
    this.#segmenter.add(frame)
    this.sampledFrames++
  }

  /** Encodes what was sampled up to `endMs` and sends it up. @returns the segment as the ground reads it, if there is one */
  async sendSegment(endMs: number): Promise<Segment | undefined> {
    const segment = await this.#segmenter.flush(endMs, this.#applier.version)
    return segment === undefined ? undefined : this.link.up({ case: 'segment', value: segment })
  }

  /** One training phase on the ground; what it sends goes on its way. */
  async runPhase(): Promise<PhaseReport> {
    const report = await this.#session.runPhase()
    if (report.update !== undefined) this.#send(report.update)
    return report
  }

  /** Tells the drone its sampling rate, frames/s, and segment length, s, and the weights that turned out bad, if any did. */
  async control(samplingFps: number, updatePeriodS: number, uplinkKbps: number): Promise<void> {
    const { rejectDigest } = this.#session
    const value = { samplingFps, updatePeriodS, uplinkKbps, rejectDigest }
    const control = this.link.down({ case: 'control', value })
    this.#sampler.setRate(control.samplingFps)
    this.#segmenter.configure({ uplinkKbps: control.uplinkKbps, periodS: control.updatePeriodS })
    if (rejectDigest !== undefined) await this.#reject(control.rejectDigest)
  }

  /** Applies the updates that have arrived, and reports them to the ground. */
  async receive(): Promise<void> {
    for (const part of this.#downlink.receive(this.#clock.nowMs())) {
      const data = this.#parts.add(part)
      if (data === undefined) continue
      const result = this.link.up({ case: 'updateResult', value: await this.#applier.apply(data) })
      if (result.applied) this.applied++
      else this.refused++
      const catchUp = this.#session.acknowledge({ ...result, digest: result.modelDigest })
      if (catchUp !== undefined) this.#send(catchUp)
    }
  }

  /** Where the drone flies these weights it goes back, and says so. */
  async #reject(digest: Uint8Array): Promise<void> {
    const outcome = await this.#applier.reject(digest)
    if (outcome === undefined) return
    this.rolledBack++
    const { version, digest: modelDigest, rolledBack } = this.#applier
    const value = { online: true, modelVersion: version, modelDigest, rolledBack: [...rolledBack] }
    const status = this.link.up({ case: 'status', value })
    this.#session.reconcile({ version, digest: status.modelDigest, rolledBack: status.rolledBack })
  }

  dispose(): void {
    this.#segmenter.dispose()
  }

  #send(update: OutgoingUpdate): void {
    for (const part of updateParts(update)) {
      this.#downlink.send(this.#clock.nowMs(), this.link.down({ case: 'update', value: part }))
    }
  }
}
