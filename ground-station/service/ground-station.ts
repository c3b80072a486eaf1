import type { CommandResult, Connection, Status, UpdateResult, What } from '@kestrel/link'
import { type Clock, Incidents, type Log, messageOf, UserError } from '@kestrel/runtime'
import type { Drone } from '../fleet/drone.js'
import { type FleetOptions, fleetOptionsSchema } from '../fleet/options.js'
import { Scheduler } from '../fleet/scheduler.js'
import type { OutgoingUpdate } from '../session/chain.js'
import { Commander, type Order } from './commander.js'
import { Downlink, type MessageSigner } from './downlink.js'
import { type Heard, Inbox } from './inbox.js'
import type { Job, JobResult, Learner } from './learner.js'
import { mismatch } from './mismatch.js'
import type { GroundEvent, GroundObserver } from './observer.js'
import { observers } from './observers.js'
import { type Ownership, SharedDrones } from './ownership.js'
import { phaseLine } from './phase-line.js'

/**
 * The ground side of the link: hands what the drones send to the learner, one job at a time as the scheduler says, and
 * sends them updates and control. Everything heavy is the learner's.
 */
export class GroundStation {
  readonly #inbox: Inbox
  readonly #downlink: Downlink
  readonly #learner: Learner
  readonly #shared: SharedDrones | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #incidents: Incidents
  readonly #tell: Required<GroundObserver>
  readonly #commander: Commander
  readonly #scheduler: Scheduler
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #wake = new AbortController()
  #fullSaid = false

  constructor(options: {
    connection: Connection
    learner: Learner
    /** Drones that were paired take nothing unsigned. */
    signer?: MessageSigner
    /** Which drones this one teaches, where several ground stations share them; whoever knows calls `own`. */
    ownership?: Ownership
    clock: Clock
    uplinkKbps: number
    /** How drones share the learner; gain-aware by default. */
    fleet?: FleetOptions
    /** Counts messages of no use, with what else is refused; of its own unless given. */
    incidents?: Incidents
    /** Who looks on: the dashboard, the flight log. */
    observers?: readonly GroundObserver[]
    log: Log
  }) {
    const { connection, signer, clock, uplinkKbps, log } = options
    this.#learner = options.learner
    this.#shared = options.ownership && new SharedDrones(options.ownership)
    this.#clock = clock
    this.#scheduler = new Scheduler(options.fleet ?? fleetOptionsSchema.parse({}))
    this.#log = log
    this.#incidents = options.incidents ?? new Incidents({ log, clock })
    this.#tell = observers(options.observers ?? [], log)
    this.#inbox = new Inbox({
      connection,
      incidents: this.#incidents,
      isForUs: ({ drone, envelope, bytes }) => this.#shared?.hear(drone, envelope, bytes) !== false,
      onMessage: message => this.#admit(message),
      onRepeat: message => this.#answerRepeat(message),
      log,
    })
    this.#downlink = new Downlink({
      connection,
      signer,
      shared: this.#shared,
      uplinkKbps,
      clock,
      onMessage: (drone, what, bytes) => this.#crossed(drone, 'down', what, bytes),
      log,
    })
    this.#commander = new Commander({
      publish: (drone, payload) => this.#downlink.send(drone, 'command', [payload]),
      clock,
    })
  }

  /** What was refused so far, by kind. */
  get refused(): Record<string, number> {
    return this.#incidents.counts
  }

  /** Begins to listen. Does not wait for the broker: that may be away. */
  start(): void {
    this.#inbox.start({ onlyStatus: this.#shared !== undefined })
    this.#running = this.#work()
  }

  /** A drone is to be taught here from now on, or by another: then this returns when what was learned is saved. */
  async own(name: string, owned: boolean): Promise<void> {
    const status = this.#shared?.status(name)
    if (owned) {
      this.#log.info(`${name} is taught here`)
      this.#inbox.open(name)
      if (status !== undefined) this.#admit({ drone: name, what: 'status', ...status })
      return
    }
    this.#log.info(`${name} is taught by another`)
    this.#inbox.close(name)
    this.#scheduler.close(name)
    const event = { type: 'offline', text: 'Taught by another ground station', severity: 'info' } as const
    this.#tell.event(name, { timeMs: this.#clock.nowMs(), ...event })
    const said = status?.envelope.payload
    if (said?.case === 'status') this.#tell.status(name, { ...said.value, online: false }, undefined)
    if (!this.#stopping.signal.aborted) await this.#learner.run({ kind: 'forget', drone: name })
  }

  /** Stops after the job that runs (a phase ends early) and has the learner save everything. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#inbox.end()
    this.#downlink.end()
    this.#wake.abort()
    await this.#learner.close()
    await this.#running
  }

  /**
   * Has a drone fly the version before again, and not take the one that it flies a second time. Where it cannot, the log says why.
   *
   * @returns false where no drone of that name is taught here
   */
  rollBack(name: string): boolean {
    const drone = this.#scheduler.find(name)
    if (drone === undefined || drone.refusal !== undefined) return false
    drone.add({ kind: 'reject', drone: name }, this.#clock.nowMs())
    this.#wake.abort()
    return true
  }

  /**
   * Orders something of a drone.
   *
   * @returns what the drone says came of it
   * @throws UserError where it is not here, or does not answer
   */
  async command(name: string, order: Order): Promise<CommandResult> {
    const drone = this.#scheduler.find(name)
    if (drone === undefined) throw new UserError(`There is no drone ${name} here`)
    if (!drone.online) throw new UserError(`${name} is not connected: nothing was ordered`)
    return this.#commander.send(name, order)
  }

  #admit(message: Heard): void {
    const drone = this.#drone(message.drone)
    if (drone === undefined) return
    this.#crossed(drone.name, 'up', message.what, message.bytes)
    this.#handle(drone, message)
    this.#wake.abort()
  }

  #drone(name: string): Drone | undefined {
    const drone = this.#scheduler.open(name)
    if (drone === undefined && !this.#fullSaid) {
      this.#fullSaid = true
      this.#log.error(
        `${this.#scheduler.drones.length} drones are the most that one ground station teaches: ${name} is left aside`,
      )
    }
    return drone
  }

  /** A segment that was done with comes again where the receipt was lost. */
  #answerRepeat({ drone: name, envelope: { id, payload } }: Heard): void {
    const drone = this.#scheduler.find(name)
    if (payload.case !== 'segment' || drone === undefined || drone.isUnfinished(id)) return
    if (drone.refusal === undefined) this.#downlink.receipt(name, id)
  }

  #handle(drone: Drone, { envelope: { id, payload }, bytes }: Heard): void {
    const { name } = drone
    const nowMs = this.#clock.nowMs()
    if (payload.case === 'status') {
      this.#handleStatus(drone, payload.value)
      this.#tell.status(name, payload.value, drone.refusal)
      return
    }
    if (payload.case === 'telemetry') {
      this.#tell.telemetry(name, payload.value)
      return
    }
    if (payload.case === 'commandResult') {
      this.#handleAnswer(drone, payload.value)
      return
    }
    if (drone.refusal !== undefined) {
      this.#log.debug(`${name}: ${payload.case} is left aside: ${drone.refusal}`)
      return
    }
    if (payload.case === 'segment') {
      const dropped = drone.add({ kind: 'segment', drone: name, message: bytes, id }, nowMs)
      if (dropped !== undefined) this.#downlink.receipt(name, dropped.id)
      if (dropped !== undefined && drone.segmentsDropped % 10 === 1) {
        this.#log.warn(
          `${name}: training is too slow for its frames: ${drone.segmentsDropped} segments dropped so far`,
        )
      }
    } else if (payload.case === 'updateResult') {
      this.#logAnswer(drone, payload.value)
      const { version, applied, reason, modelVersion, modelDigest: digest, rolledBack } = payload.value
      const answer = { version, applied, reason, modelVersion, digest, rolledBack }
      this.#tell.updateResult(name, payload.value)
      drone.add({ kind: 'answer', drone: name, answer }, nowMs)
    } else if (payload.case === 'resync') {
      const { modelVersion: version, modelDigest: digest, reason } = payload.value
      this.#log.info(`${name} asks to be brought up to date from version ${version}: ${reason}`)
      drone.add({ kind: 'report', drone: name, report: { version, digest } }, nowMs)
    }
  }

  #handleStatus(drone: Drone, status: Status): void {
    const { name } = drone
    if (!status.online) {
      if (drone.online) {
        this.#log.info(`${name} is gone; its training state is kept`)
        this.#event(drone, 'offline', 'Gone; its training state is kept', 'warning')
      }
      drone.online = false
      return
    }
    const refusal = mismatch(status, this.#learner.student)
    if (refusal !== undefined) {
      if (drone.refusal !== refusal) {
        this.#log.error(`${name} is left aside: ${refusal}`)
        this.#event(drone, 'refused', `Left aside: ${refusal}`, 'error')
      }
      drone.refuse(refusal)
      return
    }
    if (!drone.online) {
      this.#log.info(
        `${name} is here: ${status.student}, version ${status.modelVersion}, software ${status.software}`,
      )
      this.#event(drone, 'online', `Here, and flies version ${status.modelVersion}`)
    }
    drone.accept()
    if (drone.modelVersion !== undefined && status.modelVersion < drone.modelVersion) {
      const text = `Version ${status.modelVersion} flies again instead of version ${drone.modelVersion}`
      this.#event(drone, 'rolled-back', text, 'warning')
    }
    drone.modelVersion = status.modelVersion
    // What it was told may be lost with a broker that restarted.
    const repeat = status.repeat && drone.online
    if (!repeat) drone.control = ''
    drone.online = true
    const { modelVersion: version, modelDigest: digest, rolledBack } = status
    const report = { version, digest, rolledBack, repeat }
    drone.add({ kind: 'report', drone: name, report }, this.#clock.nowMs())
  }

  #handleAnswer(drone: Drone, result: CommandResult): void {
    const { done, detail } = result
    const late = this.#commander.take(drone.name, result) ? '' : ' (a late answer)'
    const text = `${done ? 'Ordered' : 'Order refused'}: ${detail}${late}`
    this.#event(drone, 'command', text, done ? 'info' : 'warning')
    this.#log.info(`${drone.name}: ${text}`)
    this.#tell.commandResult(drone.name, result)
  }

  #logAnswer(drone: Drone, { version, applied, reason, detail, applyMs }: UpdateResult): void {
    const { name } = drone
    if (applied) {
      const swapped = `swapped in ${applyMs.toFixed(0)} ms`
      this.#log.info(`${name} flies version ${version} (${swapped})`)
      drone.modelVersion = version
      this.#event(drone, 'update-applied', `Version ${version} flies (${swapped})`)
    } else if (reason === 'not-newer') this.#log.debug(`${name} had update ${version} already`)
    else {
      const why = `${reason}${detail === '' ? '' : `, ${detail}`}`
      this.#log.warn(`${name} refused update ${version}: ${why}`)
      this.#event(drone, 'update-refused', `Update ${version} was refused: ${why}`, 'warning')
    }
  }

  #event(
    { name }: Drone,
    type: GroundEvent['type'],
    text: string,
    severity: GroundEvent['severity'] = 'info',
  ): void {
    this.#tell.event(name, { timeMs: this.#clock.nowMs(), type, severity, text })
  }

  #crossed(name: string, direction: 'up' | 'down', what: What, bytes: Uint8Array): void {
    this.#tell.message(name, { timeMs: this.#clock.nowMs(), direction, what, bytes })
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const job = this.#scheduler.next(this.#clock.nowMs())
      if (job !== undefined) {
        await this.#run(job)
        continue
      }
      this.#wake = new AbortController()
      const ms = Math.min(60_000, this.#scheduler.wakeMs - this.#clock.nowMs())
      await this.#clock.sleep(ms, this.#wake.signal)
    }
  }

  async #run(job: Job): Promise<void> {
    const drone = this.#scheduler.find(job.drone)!
    const term = this.#shared?.term(job.drone)
    // The lease has lapsed; what of it cannot be done now is sent again.
    if (this.#shared !== undefined && term === undefined) return this.#scheduler.fail(job)
    const startMs = this.#clock.nowMs()
    let result: JobResult
    try {
      result = await this.#learner.run({ ...job, term })
    } catch (error) {
      if (this.#stopping.signal.aborted || this.#scheduler.find(job.drone) !== drone) return
      this.#logFailure(drone, job, error)
      this.#scheduler.fail(job)
      if (job.kind === 'segment') {
        drone.segmentsRefused++
        this.#finish(drone, job.id)
      }
      return
    }
    // Meanwhile another has taken over.
    if (this.#scheduler.find(job.drone) !== drone) return
    this.#scheduler.finish(job, result, { startMs, endMs: this.#clock.nowMs() })
    if (job.kind === 'segment') this.#finish(drone, job.id)
    if (result.phase !== undefined) this.#tellPhase(drone, result.phase, result.update)
    if (result.view !== undefined) this.#tell.view(drone.name, result.view)
    if (result.taught !== undefined) this.#tell.taught(drone.name, result.taught)
    if (result.update !== undefined) {
      if (job.kind !== 'phase')
        this.#log.info(`${drone.name}: sending update ${result.update.version} (catch-up)`)
      this.#downlink.update(drone.name, result.update)
    }
    // What one drone takes changes what there is for the others.
    for (const each of this.#scheduler.drones) this.#sendControl(each)
  }

  #finish(drone: Drone, id: Uint8Array): void {
    drone.finish(id)
    this.#downlink.receipt(drone.name, id)
  }

  #tellPhase(
    { name }: Drone,
    phase: NonNullable<JobResult['phase']>,
    update: OutgoingUpdate | undefined,
  ): void {
    this.#log.info(`${name}: ${phaseLine(phase, update)}`)
    const sent = update && {
      version: update.version,
      baseVersion: update.baseVersion,
      weights: update.count,
      bytes: update.bytes.length,
    }
    this.#tell.phase(name, { ...phase, timeMs: this.#clock.nowMs(), ...(sent && { update: sent }) })
  }

  #logFailure(drone: Drone, { kind }: Job, error: unknown): void {
    const { name } = drone
    this.#event(drone, 'failure', `A ${kind} came to nothing: ${messageOf(error)}`, 'error')
    const expected = error instanceof UserError
    const stack = expected || !(error instanceof Error) ? undefined : { stack: error.stack }
    this.#log.error(`${name}: a ${kind} came to nothing: ${messageOf(error)}`, stack)
  }

  #sayWhetherStretched(drone: Drone): boolean {
    const { name, lesson, stretched } = drone
    const { ownPeriodS, periodS } = lesson
    const isStretched = periodS > ownPeriodS
    if (isStretched !== stretched) {
      const text = isStretched
        ? `Training has time for it every ${periodS.toFixed(0)} s, not every ${ownPeriodS} s (T_update)`
        : 'Phases fit into T_update again'
      this.#event(drone, 'behind', text, isStretched ? 'warning' : 'info')
    }
    if (isStretched && !stretched) {
      this.#log.warn(
        `${name}: training has time for it every ${periodS.toFixed(0)} s, not every ${ownPeriodS} s: it samples that much less and its segments are ` +
          'that much longer; fewer ams.iterations or a smaller ams.batchSize would make T_update fit',
      )
    } else if (!isStretched && stretched) this.#log.info(`${name}: phases fit into T_update again`)
    return isStretched
  }

  #sendControl(drone: Drone): void {
    const isOurs = this.#shared === undefined || this.#shared.term(drone.name) !== undefined
    if (!drone.online || drone.lesson.ownPeriodS === 0 || !isOurs) return
    drone.stretched = this.#sayWhetherStretched(drone)
    this.#downlink.control(drone)
  }
}
