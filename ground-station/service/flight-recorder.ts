import { basename } from 'node:path'
import { FlightLog, keepQuota, mendFlights, parseFlightId, withoutSecrets } from '@kestrel/flight-log'
import { decodeEnvelope, type Status, type Telemetry } from '@kestrel/link'
import { defaultPalette } from '@kestrel/models'
import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import type { GroundConfig } from './config.js'
import type { StudentIdentity } from './learner.js'
import type { LiveView } from './live-view.js'
import type {
  CrossedMessage,
  GroundEvent,
  GroundObserver,
  LogLine,
  PhaseNews,
  TaughtFrame,
} from './observer.js'

/** A flight whose drone has not been heard for this long has ended for the ground, ms. */
const SILENT_MS = 120_000
const TICK_MS = 5000
const SOFTWARE = 'kestrel-ground 0.1.0'

interface Recording {
  log: FlightLog
  heardMs: number
}

/** Logs each drone's flight on the ground's side, under the id that the drone tells. A module of the ground station. */
export class FlightRecorder {
  readonly observer: GroundObserver
  readonly #config: GroundConfig
  readonly #dir: string
  readonly #student: StudentIdentity
  readonly #clock: Clock
  readonly #log: Log
  readonly #stopped = new AbortController()
  readonly #flights = new Map<string, Recording>()
  #running: Promise<unknown> | undefined
  #ending: Promise<unknown> = Promise.resolve()

  constructor(options: {
    config: GroundConfig
    /** Folder of all flights. */
    dir: string
    student: StudentIdentity
    clock: Clock
    log: Log
  }) {
    this.#config = options.config
    this.#dir = options.dir
    this.#student = options.student
    this.#clock = options.clock
    this.#log = options.log.child('logs')
    this.observer = {
      status: (drone, status) => this.#status(drone, status),
      telemetry: (drone, telemetry) => this.#telemetry(drone, telemetry),
      message: (drone, message) => this.#message(drone, message),
      phase: (drone, phase) => this.#phase(drone, phase),
      view: (drone, view) => this.#view(drone, view),
      taught: (drone, frames) => this.#taught(drone, frames),
      event: (drone, event) => this.#event(drone, event),
      line: line => this.#line(line),
    }
  }

  /** Drone → id of the flight that is logged. */
  get flights(): Map<string, string> {
    return new Map([...this.#flights].map(([drone, { log }]) => [drone, log.info.id]))
  }

  start(): void {
    const mending = mendFlights(this.#dir, { side: 'ground', log: this.#log, freshMs: 0 })
    this.#running = Promise.all([mending, this.#run()])
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
    for (const drone of [...this.#flights.keys()]) this.#end(drone)
    await this.#ending
  }

  #status(drone: string, status: Status): void {
    // A drone that is gone has its flight still, until it says otherwise or stays away.
    if (status.online) this.#follow(drone, status.flight)
  }

  #telemetry(drone: string, telemetry: Telemetry): void {
    this.#follow(drone, telemetry.flight)
    const log = this.#of(drone)
    log?.telemetry(telemetry)
    if (telemetry.vehicle?.connected) log?.vehicle(telemetry.vehicle)
  }

  #message(drone: string, { direction, what, bytes }: CrossedMessage): void {
    // The first status brings the flight, and belongs to it.
    const envelope = decodeEnvelope(bytes)
    const { payload, sentUs } = envelope
    if (payload.case === 'status' && payload.value.online) this.#follow(drone, payload.value.flight)
    const log = this.#of(drone)
    if (log === undefined) return
    // Telemetry is logged as such.
    if (what !== 'telemetry')
      log.envelope(what, bytes, direction === 'up' && isPrompt(what) ? sentUs : undefined)
    if (payload.case === 'segment') log.sampled(payload.value)
  }

  #phase(drone: string, phase: PhaseNews): void {
    const { loss, live, update, reason = '', ...same } = phase
    this.#of(drone)?.phase({
      ...{ phase: same.phase, trained: same.trained, iterations: same.iterations, frames: same.frames },
      ...{ heldOut: same.heldOut, holdOutBefore: same.holdOutBefore, holdOutAfter: same.holdOutAfter },
      ...{ phi: same.phi, samplingFps: same.samplingFps, updatePeriodS: same.updatePeriodS },
      ...{ sent: same.sent, durationMs: same.durationMs, reason },
      loss: Number.isFinite(loss) ? loss : undefined,
      version: update?.version,
      updateBytes: update?.bytes,
      updateWeights: update?.weights,
      liveBefore: live?.before,
      liveAfter: live?.after,
      liveFrames: live?.frames,
    })
  }

  #view(drone: string, view: LiveView): void {
    const log = this.#of(drone)
    if (log === undefined) return
    log.labels('student', view.captureMs, view.labels.student)
    log.labels('frozen', view.captureMs, view.labels.frozen)
    const big = (counts: number[]) => counts.map(BigInt)
    for (const [i, { captureMs, counts }] of view.scores.entries()) {
      // The window is that of the newest frame; it is told with that one only.
      const window = i === view.scores.length - 1 ? view.window : undefined
      log.score({
        timeUs: BigInt(Math.round(captureMs * 1000)),
        modelVersion: view.modelVersion,
        adapting: window?.adapting,
        frozen: window?.frozen,
        adaptingIntersection: big(counts.adapting.intersection),
        adaptingUnion: big(counts.adapting.union),
        frozenIntersection: big(counts.frozen.intersection),
        frozenUnion: big(counts.frozen.union),
        truth: big(counts.adapting.truth),
      })
    }
  }

  #taught(drone: string, frames: TaughtFrame[]): void {
    const log = this.#of(drone)
    for (const { captureMs, labels } of frames) log?.labels('teacher', captureMs, labels)
  }

  #event(drone: string, { type, text, severity }: GroundEvent): void {
    this.#of(drone)?.event(type, text, severity)
  }

  /** A line is about one drone or about all. */
  #line({ level, part, message }: LogLine): void {
    for (const { log } of this.#flights.values()) log.line({ level, part, message })
  }

  #of(drone: string): FlightLog | undefined {
    return this.#flights.get(drone)?.log
  }

  /** The drone says which flight it is in; another than before ends that one here. */
  #follow(drone: string, id: string): void {
    const nowMs = this.#clock.nowMs()
    const known = this.#flights.get(drone)
    if (known?.log.info.id === id) {
      known.heardMs = nowMs
      return
    }
    if (known !== undefined) this.#end(drone)
    // What comes from outside names a folder only where it is the id of a flight of this very drone.
    if (parseFlightId(id)?.drone !== drone || this.#stopped.signal.aborted) return
    const { source, classes, palette } = this.#student
    const log = new FlightLog({
      dir: this.#dir,
      info: {
        ...{
          id,
          drone,
          side: 'ground',
          startMs: nowMs,
          software: SOFTWARE,
          student: basename(source),
          classes,
        },
        palette: palette ?? defaultPalette(classes.length),
        configuration: JSON.stringify(withoutSecrets(this.#config)),
      },
      clock: this.#clock,
      log: this.#log,
    })
    log.start()
    this.#flights.set(drone, { log, heardMs: nowMs })
    this.#log.info(`Flight ${id} is logged`)
  }

  #end(drone: string): void {
    const ended = this.#flights.get(drone)
    if (ended === undefined) return
    this.#flights.delete(drone)
    this.#ending = Promise.all([this.#ending, ended.log.stop()])
    this.#log.info(`The log of flight ${ended.log.info.id} has ended`)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#clock.sleep(TICK_MS, signal)
      if (signal.aborted) return
      const nowMs = this.#clock.nowMs()
      for (const [drone, { heardMs }] of this.#flights) if (nowMs - heardMs > SILENT_MS) this.#end(drone)
      await this.#keep()
    }
  }

  async #keep(): Promise<void> {
    const { maxMB } = this.#config.logs
    try {
      const current = [...this.#flights.values()].map(({ log }) => log.info.id)
      const { removed, over } = await keepQuota(this.#dir, { maxBytes: maxMB * 1e6, current })
      for (const id of removed) this.#log.info(`Room for logs: flight ${id} removed (${maxMB} MB may be)`)
      for (const { log } of this.#flights.values()) {
        log.hold(
          over ? `the logs may take ${maxMB} MB (logs.maxMB), and the flights of now take more` : undefined,
        )
      }
    } catch (error) {
      this.#log.warn(`The folder of the logs cannot be kept in bounds: ${messageOf(error)}`)
    }
  }
}

/** Sent at once, so that the time that it took tells how far the clocks are apart; segments may have waited for a link. */
function isPrompt(what: string): boolean {
  return what === 'status' || what === 'telemetry' || what === 'update-result'
}
