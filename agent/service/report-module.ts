import type { Clock, Log } from '@kestrel/runtime'
import type { BoardModule } from './board-module.js'
import type { CameraModule } from './camera-module.js'
import type { FlightModule } from './flight-module.js'
import type { LearningControls } from './learning-controls.js'
import type { LinkModule } from './link-module.js'
import type { LogModule } from './log-module.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'
import type { UplinkModule } from './uplink-module.js'
import type { VehicleModule } from './vehicle-module.js'

const TELEMETRY_MS = 1000
const LINE_MS = 10_000

export interface ReportParts {
  student: StudentModule
  camera: CameraModule
  link: LinkModule
  uplink: UplinkModule
  flight: FlightModule
  board: BoardModule
  controls: LearningControls
  vehicle?: VehicleModule
  logs?: LogModule
}

/** Says how the flight goes: telemetry every second, a line in the log every ten, and a summary at the end. */
export class ReportModule implements Module {
  readonly name = 'report'
  readonly #parts: ReportParts
  readonly #clock: Clock
  readonly #log: Log
  readonly #abort = new AbortController()
  #running: Promise<void> | undefined
  #beganMs = 0
  #lineMs = 0
  #lineTraffic = { up: 0, down: 0 }

  constructor(parts: ReportParts, options: { clock: Clock; log: Log }) {
    this.#parts = parts
    this.#clock = options.clock
    this.#log = options.log
  }

  start(): void {
    this.#beganMs = this.#lineMs = this.#clock.nowMs()
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#running
    const { flight, camera, student, uplink } = this.#parts
    const seconds = (this.#clock.nowMs() - this.#beganMs) / 1000
    this.#log.info(
      `Flown ${seconds.toFixed(1)} s: ${flight.frames} frames labelled, ${camera.camera.dropped} dropped, ` +
        `model version ${student.applier.version}, ${uplink.sent} segments sent, ${uplink.waiting} waiting`,
    )
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    for (;;) {
      await this.#clock.sleep(TELEMETRY_MS, signal)
      if (signal.aborted) return
      this.#telemetry()
      if (this.#clock.nowMs() - this.#lineMs >= LINE_MS) this.#line()
    }
  }

  #telemetry(): void {
    const { flight, camera, student, uplink, link, board, controls, vehicle, logs } = this.#parts
    const { fps, p50Ms, p99Ms } = flight.summary()
    const value = {
      timeUs: BigInt(Math.round(this.#clock.nowMs() * 1000)),
      fps,
      latencyP50Ms: p50Ms,
      latencyP99Ms: p99Ms,
      frames: BigInt(flight.frames),
      framesDropped: BigInt(camera.camera.dropped),
      outboxSegments: uplink.waiting,
      segmentsDropped: BigInt(uplink.dropped),
      samplingFps: uplink.samplingFps,
      modelVersion: student.applier.version,
      board: board.telemetry(),
      vehicle: vehicle?.telemetry(),
      flight: logs?.flight ?? '',
      learning: controls.state(),
    }
    logs?.telemetry(value, link.traffic)
    // What nobody hears is not sent, nor counted as traffic.
    if (link.up) void link.send('telemetry', { case: 'telemetry', value })
  }

  #line(): void {
    const { flight, camera, student, uplink, link } = this.#parts
    const { fps, p50Ms } = flight.summary()
    const { trouble } = camera.camera
    const nowMs = this.#clock.nowMs()
    const { traffic } = link
    const kbps = (now: number, before: number) => ((8 * (now - before)) / (nowMs - this.#lineMs)).toFixed(0)
    const waiting = uplink.waiting > 0 ? `, ${uplink.waiting} segments wait` : ''
    this.#log.info(
      `${fps.toFixed(1)} frames/s, ${p50Ms.toFixed(0)} ms camera to label, model version ${student.applier.version}, ` +
        `sampling ${uplink.samplingFps.toFixed(2)}/s, up ${kbps(traffic.up, this.#lineTraffic.up)} kbit/s, ` +
        `down ${kbps(traffic.down, this.#lineTraffic.down)} kbit/s${link.up ? '' : ', no link'}${waiting}` +
        (trouble === undefined ? '' : `, no camera (${trouble})`),
    )
    this.#lineMs = nowMs
    this.#lineTraffic = traffic
  }
}
