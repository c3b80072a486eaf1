import { create } from '@bufbuild/protobuf'
import {
  type BrokerAuth,
  type Command,
  type Connection,
  Deduplicator,
  decodeEnvelope,
  delivery,
  encodeEnvelope,
  groundKeyOf,
  MessageRefused,
  type Payload,
  type PayloadInit,
  readCredentials,
  topic,
  type Update,
  type UpdateResult,
  UpdateResultSchema,
  type What,
  type Will,
} from '@kestrel/link'
import { type Clock, Incidents, type Log, messageOf } from '@kestrel/runtime'
import { UpdateParts } from '../student/update-parts.js'
import type { CommandAnswer } from './commands.js'
import type { AgentConfig } from './config.js'
import { GroundTrust } from './ground-trust.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'
import type { UplinkModule } from './uplink-module.js'

/** Opens the connection to the broker; tests give one in memory. */
export type Connect = (options: {
  url: string
  clientId: string
  will: Will
  auth?: BrokerAuth
  log: Log
}) => Connection

/** Looks on; each must return soon and not throw. */
export interface LinkWatch {
  /** A message as it crossed, in either direction, repeats left out. */
  crossed?: (what: What, bytes: Uint8Array) => void
  state?: (up: boolean) => void
  /** What came of an update. */
  answered?: (result: UpdateResult) => void
}

/**
 * How often the status is said again, ms. A broker publishes a last will when it pleases, also after the drone is back; whoever comes later would
 * find the drone gone for ever.
 */
const REPEAT_MS = 30_000

/** What the link needs to know of the student, and of the uplink. */
type Flying = Pick<StudentModule, 'student' | 'applier' | 'reject' | 'onRolledBack'>
type Uplink = Pick<UplinkModule, 'control' | 'receipt' | 'setUp'>

/** Updates that may wait for one another; the ground sends one at a time. */
const MAX_WAITING_UPDATES = 8

/** Least time between two answers to updates that are not signed by our ground station, ms. */
const FORGED_ANSWER_MS = 10_000

/** Refusals that mean the chain of versions is broken, so that the ground has to bring us to its weights. */
const chainBroken = new Set(['wrong-base', 'wrong-digest', 'result-mismatch'])

/** The drone's end of the link: says what flies, takes control and updates, answers them. Never waits for the ground. */
export class LinkModule implements Module {
  readonly name = 'link'
  readonly #config: AgentConfig
  readonly #student: Flying
  readonly #uplink: () => Uplink
  readonly #connect: Connect
  readonly #takesUpdates: () => boolean
  readonly #flight: () => string
  readonly #watch: LinkWatch
  readonly #onCommand: ((command: Command) => Promise<CommandAnswer>) | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #deduplicator = new Deduplicator()
  #connection: Connection | undefined
  #parts: UpdateParts | undefined
  readonly #incidents: Incidents
  #trust: GroundTrust | undefined
  #forgedMs = Number.NEGATIVE_INFINITY
  #waitingUpdates = 0
  readonly #stopping = new AbortController()
  #bytesUp = 0
  #bytesDown = 0

  constructor(
    config: AgentConfig,
    options: {
      student: Flying
      /** Called once frames can come; uplink and link know each other. */
      uplink: () => Uplink
      connect: Connect
      /** False while the pilot wants the weights to stay as they are. */
      takesUpdates?: () => boolean
      /** Id of the flight that is logged; empty where none is. */
      flight?: () => string
      watch?: LinkWatch
      /** Follows an order; never rejects. */
      onCommand?: (command: Command) => Promise<CommandAnswer>
      clock: Clock
      log: Log
    },
  ) {
    this.#config = config
    this.#student = options.student
    this.#uplink = options.uplink
    this.#connect = options.connect
    this.#takesUpdates = options.takesUpdates ?? (() => true)
    this.#flight = options.flight ?? (() => '')
    this.#watch = options.watch ?? {}
    this.#onCommand = options.onCommand
    this.#clock = options.clock
    this.#log = options.log.child('link')
    this.#incidents = new Incidents({ log: this.#log, clock: this.#clock })
  }

  get up(): boolean {
    return this.#connection?.up ?? false
  }

  /** Payload bytes so far. */
  get traffic(): { up: number; down: number } {
    return { up: this.#bytesUp, down: this.#bytesDown }
  }

  /** Whether the ground's messages have to be signed. */
  get paired(): boolean {
    return this.#trust?.paired ?? false
  }

  /** Messages that were refused, by reason. */
  get refused(): Record<string, number> {
    return this.#incidents.counts
  }

  /** @throws UserError where the credentials cannot be used */
  start(): void {
    const { drone, broker, stateDir } = this.#config
    const credentials =
      this.#config.credentials === undefined ? undefined : readCredentials(this.#config.credentials)
    const key = credentials && groundKeyOf(credentials)
    this.#trust = new GroundTrust({ drone, key, stateDir, log: this.#log })
    this.#trust.start()
    this.#parts = new UpdateParts({ parameterCount: this.#student.student.parameterCount })
    const connection = this.#connect({
      url: broker,
      clientId: `kestrel-${drone}`,
      will: {
        topic: topic(drone, 'status'),
        payload: encodeEnvelope(this.#status(false), { clock: this.#clock }),
        retain: true,
        qos: 1,
      },
      auth: credentials,
      log: this.#log,
    })
    this.#connection = connection
    connection.onState(state => this.#onState(state === 'up'))
    this.#subscribe('control', payload => {
      if (payload.case !== 'control') return
      this.#uplink().control(payload.value)
      const { rejectDigest } = payload.value
      if (rejectDigest.length > 0) void this.#student.reject(rejectDigest)
    })
    this.#subscribe('receipt', payload => {
      if (payload.case === 'receipt') this.#uplink().receipt(payload.value.segment)
    })
    this.#subscribe('update', (payload, sending) => {
      if (payload.case === 'update') void this.#onUpdate(payload.value, sending)
    })
    this.#subscribe('command', payload => {
      if (payload.case === 'command') void this.#command(payload.value)
    })
    this.#student.onRolledBack(() => {
      if (connection.up) void this.#send('status', this.#status(true))
    })
    if (connection.up) this.#onState(true)
    void this.#repeatStatus()
  }

  async stop(): Promise<void> {
    const connection = this.#connection
    if (connection === undefined) return
    this.#stopping.abort()
    if (connection.up) await this.#send('status', this.#status(false))
    await connection.close()
    await this.#trust?.stop()
  }

  /** Publishes one message as its kind travels. Resolves when it is gone, or never will be (which is logged). */
  async send(what: What, payload: PayloadInit): Promise<void> {
    await this.#send(what, payload)
  }

  /** Delivers a segment that is encoded already. @throws Error when it was not delivered */
  async publishSegment(message: Uint8Array): Promise<void> {
    if (this.#connection === undefined) throw new Error('there is no connection yet')
    await this.#connection.publish(topic(this.#config.drone, 'segment'), message, delivery.segment)
    this.#bytesUp += message.length
    this.#watch.crossed?.('segment', message)
  }

  /** Says anew what flies, and which flight it is. */
  async sayStatus(): Promise<void> {
    if (this.up) await this.#send('status', this.#status(true))
  }

  #onState(up: boolean): void {
    this.#watch.state?.(up)
    this.#uplink().setUp(up)
    // The ground may have been away: from the status it knows what flies here and heals the chain where it has to.
    if (up) void this.#send('status', this.#status(true))
  }

  async #repeatStatus(): Promise<void> {
    const { signal } = this.#stopping
    for (;;) {
      await this.#clock.sleep(REPEAT_MS, signal)
      if (signal.aborted) return
      if (this.up) await this.#send('status', this.#status(true, true))
    }
  }

  /** @param handle called with messages that may be acted on, and with the number of their signature */
  #subscribe(what: What, handle: (payload: Payload, counter: bigint) => void): void {
    const name = topic(this.#config.drone, what)
    this.#connection
      ?.subscribe(name, (_, bytes) => {
        this.#bytesDown += bytes.length
        try {
          const envelope = decodeEnvelope(bytes)
          const { id, payload } = envelope
          const counter = this.#trust?.verify(what, bytes, envelope) ?? 0n
          if (this.#deduplicator.isRepeat(id)) return
          this.#trust?.admit(what, counter)
          this.#watch.crossed?.(what, bytes)
          handle(payload, counter)
        } catch (error) {
          this.#onRefused(what, bytes, error)
        }
      })
      .catch(error => {
        if (!this.#stopping.signal.aborted)
          this.#log.warn(`The broker refused to subscribe ${name}: ${messageOf(error)}`)
      })
  }

  async #command(command: Command): Promise<void> {
    const value = await this.#onCommand?.(command)
    if (value !== undefined) await this.#send('command-result', { case: 'commandResult', value })
  }

  #onRefused(what: What, bytes: Uint8Array, error: unknown): void {
    const reason = error instanceof MessageRefused ? error.reason : 'failed'
    const name = topic(this.#config.drone, what)
    this.#incidents.add(reason, `A message of ${name} was refused: ${messageOf(error)}`)
    const nowMs = this.#clock.nowMs()
    if (what !== 'update' || reason !== 'signature' || nowMs - this.#forgedMs < FORGED_ANSWER_MS) return
    // The ground should know: it may have new keys, and this drone has to be paired again.
    this.#forgedMs = nowMs
    const { payload } = decodeEnvelope(bytes)
    if (payload.case === 'update') void this.#refuse(payload.value.version, 'signature', messageOf(error))
  }

  async #onUpdate(update: Update, sending: bigint): Promise<void> {
    let data: Uint8Array | undefined
    try {
      data = this.#parts?.add(update, sending)
    } catch (error) {
      this.#log.warn(`A part of update ${update.version} was refused: ${messageOf(error)}`)
      return
    }
    if (data === undefined) return
    if (!this.#takesUpdates()) {
      await this.#refuse(update.version, 'paused', 'the pilot has paused learning')
      return
    }
    if (this.#waitingUpdates >= MAX_WAITING_UPDATES) {
      this.#log.warn(
        `Update ${update.version} was dropped: ${this.#waitingUpdates} others wait to be applied`,
      )
      return
    }
    this.#waitingUpdates += 1
    const result = await this.#student.applier.apply(data)
    this.#waitingUpdates -= 1
    await this.#answer(result)
  }

  async #refuse(version: number, reason: string, detail: string): Promise<void> {
    const { version: modelVersion, digest: modelDigest } = this.#student.applier
    const refusal = { version, applied: false, reason, detail, modelVersion, modelDigest }
    await this.#answer(create(UpdateResultSchema, refusal))
  }

  async #answer(result: UpdateResult): Promise<void> {
    const { version, applied, reason, detail, modelVersion, modelDigest, applyMs } = result
    this.#watch.answered?.(result)
    if (applied)
      this.#log.info(`Update ${version} flies, ${Math.round(applyMs)} ms after it came (${detail})`)
    else
      this.#log.warn(`Update ${version} was refused, version ${modelVersion} flies on: ${detail} (${reason})`)
    const answers = [this.#send('update-result', { case: 'updateResult', value: result })]
    if (applied) answers.push(this.#send('status', this.#status(true)))
    if (chainBroken.has(reason)) {
      answers.push(this.#send('resync', { case: 'resync', value: { modelVersion, modelDigest, reason } }))
    }
    await Promise.all(answers)
  }

  #status(online: boolean, repeat = false): PayloadInit {
    const { student, applier } = this.#student
    return {
      case: 'status',
      value: {
        online,
        repeat,
        software: `kestrel-agent ${VERSION}`,
        student: student.source.split(/[\\/]/).at(-1),
        classes: student.classes,
        layoutDigest: student.layoutDigest,
        parameterCount: student.parameterCount,
        modelVersion: applier.version,
        modelDigest: applier.digest,
        rolledBack: [...applier.rolledBack],
        flight: this.#flight(),
      },
    }
  }

  async #send(what: What, payload: PayloadInit): Promise<void> {
    const connection = this.#connection
    if (connection === undefined) return
    const message = encodeEnvelope(payload, { clock: this.#clock })
    try {
      await connection.publish(topic(this.#config.drone, what), message, delivery[what])
      this.#bytesUp += message.length
      this.#watch.crossed?.(what, message)
    } catch (error) {
      this.#log.warn(`A ${what} message was not delivered: ${messageOf(error)}`)
    }
  }
}

/** Of this package; told to the ground. */
export const VERSION = '0.1.0'
