import { statfs } from 'node:fs/promises'
import { basename } from 'node:path'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { FlightLog, keepQuota, makeFlightId, mendFlights, withoutSecrets } from '@kestrel/flight-log'
import type { Segment, TelemetrySchema, UpdateResult, VehicleInit, What } from '@kestrel/link'
import { type Clock, createRng, type Log, type LogLine, messageOf } from '@kestrel/runtime'
import { common } from 'mavlink-mappings'
import { logAllowance } from '../board/disk.js'
import type { Autopilot } from '../vehicle/autopilot-watch.js'
import type { AgentConfig } from './config.js'
import type { LabelledFrame } from './flight-module.js'
import { type LinkWatch, VERSION } from './link-module.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'

/** State of the vehicle is logged this often, ms. */
const VEHICLE_MS = 200
/** Labels are logged at most this often, ms. */
const LABELS_MS = 450
/** After disarming the log goes on for this long, ms: the last segment is still to come. */
const AFTER_MS = 15_000
/** The folder is looked at this often, ms. */
const QUOTA_MS = 10_000
/** So much more than asked for has to be free before logging goes on, or a tenth of the quota. */
const EASE_BYTES = 20e6

const { MavSeverity } = common

/**
 * Logs each flight: from arming to disarming, or where there is no autopilot from the start of the agent to its end. Everything here returns
 * at once, and nothing that happens to the disk reaches the flight.
 */
export class LogModule implements Module {
  readonly name = 'logs'
  readonly #config: AgentConfig
  readonly #student: StudentModule
  readonly #vehicle: () => VehicleInit | undefined
  readonly #onFlight: () => void
  readonly #announce: (text: string, severity: common.MavSeverity) => void
  readonly #clock: Clock
  readonly #log: Log
  readonly #stopped = new AbortController()
  #current: FlightLog | undefined
  #ending: Promise<unknown> = Promise.resolve()
  #running: Promise<unknown> | undefined
  #armed: boolean | undefined
  #mode = ''
  #present = false
  #endsMs: number | undefined
  #sampled: number | undefined
  #labelledMs = Number.NEGATIVE_INFINITY
  #folderBytes = 0
  #keptMs = Number.NEGATIVE_INFINITY
  #keeping: Promise<void> | undefined
  #held = false
  #linkUp: boolean | undefined

  constructor(
    config: AgentConfig,
    options: {
      student: StudentModule
      /** Of now; undefined where there is no autopilot. */
      vehicle: () => VehicleInit | undefined
      /** A flight began or ended. */
      onFlight: () => void
      /** Tells the pilot. */
      announce: (text: string, severity: common.MavSeverity) => void
      clock: Clock
      log: Log
    },
  ) {
    this.#config = config
    this.#student = options.student
    this.#vehicle = options.vehicle
    this.#onFlight = options.onFlight
    this.#announce = options.announce
    this.#clock = options.clock
    this.#log = options.log.child('logs')
  }

  /** Id of the flight that is logged; empty where none is. */
  get flight(): string {
    return this.#current?.info.id ?? ''
  }

  /** Why nothing is written, while it is so. */
  get trouble(): string | undefined {
    return this.#current?.trouble
  }

  /** Bytes of all logs. */
  get bytes(): number {
    return this.#folderBytes + (this.#current?.bytes ?? 0)
  }

  start(): void {
    const { logs, vehicle } = this.#config
    if (!logs.enabled) return
    const mending = mendFlights(logs.dir, { side: 'drone', log: this.#log, freshMs: 0 })
    if (vehicle === undefined) this.#begin()
    else this.#log.info('A flight is logged from arming to disarming')
    this.#running = Promise.all([mending, this.#run()])
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
    await this.#keeping
    this.#end()
    await this.#ending
  }

  /** What the link tells of. */
  readonly watch: LinkWatch = {
    crossed: (what: What, bytes: Uint8Array) => {
      // Telemetry is logged as such, whether anybody hears it or not.
      if (what !== 'telemetry') this.#current?.envelope(what, bytes)
    },
    state: up => {
      if (up !== this.#linkUp)
        this.#current?.event(up ? 'link-up' : 'link-down', up ? 'The link is up' : 'The link is down')
      this.#linkUp = up
    },
    answered: ({ applied, version, modelVersion, reason, detail }: UpdateResult) => {
      if (applied) this.#current?.event('update-applied', `Update ${version} flies`)
      else {
        const text = `Update ${version} was refused, version ${modelVersion} flies on: ${detail} (${reason})`
        this.#current?.event('update-refused', text, 'warning')
      }
    },
  }

  line(line: LogLine): void {
    this.#current?.line(line)
  }

  frame(packet: Uint8Array): void {
    this.#current?.packet(packet)
  }

  segment(segment: Segment): void {
    this.#current?.sampled(segment)
  }

  /** A frame was sampled; its labels are wanted. */
  expect(frameId: number): void {
    this.#sampled = frameId
  }

  labelled({ frame, labels }: LabelledFrame): void {
    const { id, captureMs } = frame
    if (id !== this.#sampled || captureMs - this.#labelledMs < LABELS_MS) return
    this.#labelledMs = captureMs
    this.#current?.labels('student', captureMs, labels)
  }

  telemetry(value: MessageInitShape<typeof TelemetrySchema>, traffic: { up: number; down: number }): void {
    this.#current?.telemetry(value)
    this.#current?.traffic(traffic)
  }

  rolledBack(): void {
    this.#current?.event(
      'rolled-back',
      `Rolled back: version ${this.#student.applier.version} flies`,
      'warning',
    )
  }

  /** What the autopilot says, whole. */
  text(text: string, severity: common.MavSeverity): void {
    const level =
      severity <= MavSeverity.ERROR ? 'error' : severity === MavSeverity.WARNING ? 'warning' : 'info'
    this.#current?.event('status-text', text, level)
  }

  /** News of the autopilot; undefined while it is lost, and the flight may go on without. */
  autopilot(autopilot: Autopilot | undefined): void {
    if (!this.#config.logs.enabled) return
    const present = autopilot !== undefined
    if (present !== this.#present) {
      const text = present
        ? `The autopilot is there: ${autopilot.kind}`
        : 'The autopilot is not heard any more'
      this.#current?.event(present ? 'autopilot-found' : 'autopilot-lost', text, present ? 'info' : 'warning')
    }
    this.#present = present
    if (autopilot === undefined) return
    const { armed, mode } = autopilot
    if (armed !== this.#armed) {
      if (armed) this.#arm()
      else if (this.#armed === true) this.#disarm()
      this.#armed = armed
    }
    if (mode !== this.#mode) this.#current?.event('mode', `Mode ${mode}`)
    this.#mode = mode
  }

  /** Room on the disk of the logs: the oldest flights go, and logging stops where that does not help. @param reserveBytes that stay free */
  limit(reserveBytes: number): void {
    const nowMs = this.#clock.nowMs()
    if (!this.#config.logs.enabled || nowMs - this.#keptMs < QUOTA_MS || this.#keeping !== undefined) return
    this.#keptMs = nowMs
    this.#keeping = this.#keep(reserveBytes).finally(() => {
      this.#keeping = undefined
    })
  }

  #arm(): void {
    this.#endsMs = undefined
    if (this.#current === undefined) this.#begin()
    this.#current?.event('armed', 'Armed')
  }

  #disarm(): void {
    this.#current?.event('disarmed', 'Disarmed')
    this.#endsMs = this.#clock.nowMs() + AFTER_MS
  }

  #begin(): void {
    const { drone, logs, vehicle } = this.#config
    const { classes, palette, source } = this.#student.student
    const startMs = this.#clock.nowMs()
    const info = {
      id: makeFlightId(drone, startMs, createRng(`${drone}/${startMs}/${process.pid}`)),
      ...{ drone, side: 'drone' as const, startMs, classes, palette },
      software: `kestrel-agent ${VERSION}`,
      student: basename(source),
      configuration: JSON.stringify(withoutSecrets(this.#config)),
    }
    this.#current = new FlightLog({
      ...{ dir: logs.dir, info, tlog: vehicle !== undefined, clock: this.#clock, log: this.#log },
      limits: { maxFileBytes: Math.min(512e6, (logs.maxMB * 1e6) / 2) },
    })
    this.#current.start()
    if (this.#mode !== '') this.#current.event('mode', `Mode ${this.#mode}`)
    this.#log.info(`Flight ${info.id} is logged`)
    this.#onFlight()
  }

  #end(): void {
    const ended = this.#current
    if (ended === undefined) return
    this.#current = undefined
    this.#endsMs = undefined
    this.#ending = Promise.all([this.#ending, ended.stop()])
    this.#folderBytes += ended.bytes
    this.#log.info(`The log of flight ${ended.info.id} has ended: ${(ended.bytes / 1e6).toFixed(1)} MB`)
    this.#onFlight()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#clock.sleep(VEHICLE_MS, signal)
      if (signal.aborted) return
      const vehicle = this.#current && this.#vehicle()
      if (vehicle?.connected) this.#current?.vehicle(vehicle)
      if (this.#endsMs !== undefined && this.#clock.nowMs() >= this.#endsMs) this.#end()
    }
  }

  async #keep(reserveBytes: number): Promise<void> {
    const { dir, maxMB } = this.#config.logs
    const current = this.#current
    try {
      const freeBytes = await statfs(dir).then(
        ({ bsize, bavail }) => bsize * bavail,
        () => undefined,
      )
      // The folder is made with the first log.
      if (freeBytes === undefined) return
      const quotaBytes = maxMB * 1e6
      const before = await keepQuota(dir, { maxBytes: Number.POSITIVE_INFINITY })
      const allowance = logAllowance(freeBytes, { logBytes: before.bytes, quotaBytes, reserveBytes })
      const { removed, bytes, over } = await keepQuota(dir, {
        maxBytes: allowance,
        current: current && [current.info.id],
      })
      this.#folderBytes = Math.max(0, bytes - (current?.bytes ?? 0))
      if (removed.length > 0) {
        const what = removed.length === 1 ? `flight ${removed[0]}` : `the ${removed.length} oldest flights`
        this.#log.info(
          `Room for logs: ${what} removed (${(bytes / 1e6).toFixed(0)} MB are left, ${maxMB} MB may be)`,
        )
      }
      this.#hold(over, allowance - bytes > Math.min(EASE_BYTES, quotaBytes / 10))
    } catch (error) {
      this.#log.warn(`The folder of the logs cannot be kept in bounds: ${messageOf(error)}`)
    }
  }

  #hold(over: boolean, easy: boolean): void {
    if (over && !this.#held) {
      this.#held = true
      this.#current?.hold('there is no room for it on the disk, and only this flight is left in the logs')
      this.#announce('flight log stopped: disk full', MavSeverity.WARNING)
    } else if (this.#held && easy) {
      this.#held = false
      this.#current?.hold(undefined)
      this.#announce('flight log goes on', MavSeverity.NOTICE)
    }
  }
}
