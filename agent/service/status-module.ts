import { type Clock, type Log, messageOf, UserError } from '@kestrel/runtime'
import type { AgentConfig } from './config.js'
import { ControlSocket, controlPath } from './control-socket.js'
import { VERSION } from './link-module.js'
import type { Module } from './modules.js'
import type { ReportParts } from './report-module.js'

/** How the agent does, as `kestrel-agent status --json` prints it. */
export interface AgentStatus {
  drone: string
  software: string
  /** Which of several agents this is. */
  stateDir: string
  upS: number
  camera: { source: string; description: string; trouble?: string }
  flight: { fps: number; p50Ms: number; p99Ms: number; frames: number; dropped: number }
  model: { student: string; version: number }
  /** `refused`: messages that came and were not acted on, by reason. */
  link: { broker: string; up: boolean; paired: boolean; refused: Record<string, number> }
  uplink: { samplingFps: number; waiting: number; sent: number; dropped: number }
  /** The flight that is logged; empty where none is. */
  log: { flight: string; MB: number; trouble?: string }
  vehicle?: { connected: boolean; kind: string; armed: boolean; mode: string }
  board?: {
    model: string
    /** Shares, 0..1. */
    cpu: number
    memory: number
    temperatureC?: number
    underVoltage: boolean
    cpuThrottled: boolean
    thermalThrottled: boolean
    diskFull: boolean
    diskFreeMB?: number
    stateMB?: number
    /** Absent where there is no limit. */
    limitFps?: number
    reasons: string[]
    skipped: number
  }
}

/** Answers on the control socket. */
export class StatusModule implements Module {
  readonly name = 'status'
  readonly #config: AgentConfig
  readonly #parts: ReportParts
  readonly #clock: Clock
  readonly #log: Log
  readonly #beganMs: number
  readonly #socket: ControlSocket

  constructor(config: AgentConfig, parts: ReportParts, options: { clock: Clock; log: Log }) {
    this.#config = config
    this.#parts = parts
    this.#clock = options.clock
    this.#log = options.log
    this.#beganMs = this.#clock.nowMs()
    this.#socket = new ControlSocket(controlPath(config.stateDir), {
      status: () => this.status(),
      rollback: () => this.#rollBack(),
    })
  }

  /** @throws UserError where another agent has the same state */
  async start(): Promise<void> {
    try {
      await this.#socket.start()
    } catch (error) {
      if (error instanceof UserError) throw error
      this.#log.warn(`\`kestrel-agent status\` will not find this agent: ${messageOf(error)}`)
    }
  }

  stop(): Promise<void> {
    return this.#socket.stop()
  }

  /** One line for the service manager. */
  line(): string {
    const { flight, student, link, board } = this.#parts
    const { fps } = flight.summary()
    const limit =
      board.limitFps === Infinity ? '' : `, at most ${board.limitFps.toFixed(1)}: ${board.reasons.join(', ')}`
    return `${fps.toFixed(1)} frames/s${limit}; model version ${student.applier.version}; ${link.up ? 'link up' : 'no link'}`
  }

  /** @throws Error while the agent starts */
  status(): AgentStatus {
    const { student, camera, link, uplink, flight, logs } = this.#parts
    if (!flight.started) throw new Error('it is still starting, ask again in some seconds')
    const { drone, broker, stateDir } = this.#config
    const { fps, p50Ms, p99Ms } = flight.summary()
    return {
      drone,
      software: `kestrel-agent ${VERSION}`,
      stateDir,
      upS: (this.#clock.nowMs() - this.#beganMs) / 1000,
      camera: {
        source: this.#config.camera.source,
        description: camera.camera.description,
        trouble: camera.camera.trouble,
      },
      flight: { fps, p50Ms, p99Ms, frames: flight.frames, dropped: camera.camera.dropped },
      model: { student: student.student.source, version: student.applier.version },
      link: { broker, up: link.up, paired: link.paired, refused: link.refused },
      uplink: {
        samplingFps: uplink.samplingFps,
        waiting: uplink.waiting,
        sent: uplink.sent,
        dropped: uplink.dropped,
      },
      log: { flight: logs?.flight ?? '', MB: (logs?.bytes ?? 0) / 1e6, trouble: logs?.trouble },
      vehicle: this.#vehicle(),
      board: this.#board(),
    }
  }

  /** @returns what was done, a sentence */
  async #rollBack(): Promise<string> {
    const { from, to, rolledBack, detail } = await this.#parts.student.rollBack()
    if (!rolledBack) throw new Error(detail)
    return `Version ${to} flies again instead of version ${from}`
  }

  #vehicle(): AgentStatus['vehicle'] {
    const known = this.#parts.vehicle?.telemetry()
    if (known === undefined) return undefined
    const { connected = false, kind = '', armed = false, mode = '' } = known
    return { connected, kind, armed, mode }
  }

  #board(): AgentStatus['board'] {
    const { board } = this.#parts
    const { readings, limitFps } = board
    if (readings === undefined) return undefined
    const { cpu, memory, thermal, throttling, disk } = readings
    return {
      model: board.model,
      cpu: cpu.busy,
      memory: memory.share,
      temperatureC: thermal.temperatureC,
      ...throttling,
      diskFull: board.diskFull,
      diskFreeMB: disk && disk.freeBytes / 1e6,
      stateMB: disk && disk.stateBytes / 1e6,
      limitFps: limitFps === Infinity ? undefined : limitFps,
      reasons: board.reasons,
      skipped: board.skipped,
    }
  }
}
