import type { Clock, Log } from '@kestrel/runtime'
import { Board, type BoardState } from '../board/board.js'
import { outboxAllowance } from '../board/disk.js'
import { Governor } from '../board/governor.js'
import { strainOf } from '../board/strain.js'
import type { Frame } from '../camera/camera.js'
import { Sampler } from '../sampling/sampler.js'
import type { BoardStatus } from '../vehicle/board.js'
import type { CameraModule } from './camera-module.js'
import type { AgentConfig } from './config.js'
import type { Module } from './modules.js'
import type { UplinkModule } from './uplink-module.js'

const READ_MS = 1000

/** Watches the board, and lets frames go rather than overheat it, starve other programs or fill the disk. */
export class BoardModule implements Module {
  readonly name = 'board'
  readonly #config: AgentConfig
  readonly #camera: CameraModule
  readonly #uplink: UplinkModule
  readonly #labelledFps: () => number
  readonly #limitLogs: ((reserveBytes: number) => void) | undefined
  readonly #root: string | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #abort = new AbortController()
  #board: Board | undefined
  #governor: Governor | undefined
  #limiter: Sampler | undefined
  #running: Promise<void> | undefined
  #readings: BoardState | undefined
  #reasons: string[] = []
  #diskFull = false
  #skipped = 0

  constructor(
    config: AgentConfig,
    options: {
      camera: CameraModule
      uplink: UplinkModule
      /** Frames/s of late. */
      labelledFps: () => number
      /** Has the flight logs leave a reserve on their disk; old ones give way before unsent segments do. */
      limitLogs?: (reserveBytes: number) => void
      /** Where /proc and /sys lie; tests give a tree of their own. */
      root?: string
      clock: Clock
      log: Log
    },
  ) {
    this.#config = config
    this.#camera = options.camera
    this.#uplink = options.uplink
    this.#labelledFps = options.labelledFps
    this.#limitLogs = options.limitLogs
    this.#root = options.root
    this.#clock = options.clock
    this.#log = options.log.child('board')
  }

  get model(): string {
    return this.#board?.model ?? ''
  }

  /** The newest readings; undefined before the first. */
  get readings(): BoardState | undefined {
    return this.#readings
  }

  /** Frames/s that the governor allows; Infinity where it sees no reason for fewer. */
  get limitFps(): number {
    return this.#governor?.limitFps ?? Infinity
  }

  /** Why frames are let go, in plain words; empty where none are. */
  get reasons(): string[] {
    return this.limitFps === Infinity ? [] : this.#reasons
  }

  /** The reserve of the disk is touched, or the quota used up: unsent segments give way. */
  get diskFull(): boolean {
    return this.#diskFull
  }

  /** Frames let go to spare the board. */
  get skipped(): number {
    return this.#skipped
  }

  /** For ONBOARD_COMPUTER_STATUS; undefined before the first reading. */
  computerStatus(): BoardStatus | undefined {
    if (this.#readings === undefined) return undefined
    const { cpu, memory, thermal, throttling, disk } = this.#readings
    const MiB = 1 << 20
    return {
      cpuPercent: cpu.cores.map(share => 100 * share),
      coreC: thermal.zonesC,
      ramUsedMiB: memory.usedBytes / MiB,
      ramTotalMiB: memory.totalBytes / MiB,
      diskUsedMiB: disk && (disk.totalBytes - disk.freeBytes) / MiB,
      diskTotalMiB: disk && disk.totalBytes / MiB,
      undervoltage: throttling.underVoltage,
      cpuThrottled: throttling.cpuThrottled,
      thermallyThrottled: throttling.thermalThrottled,
      diskFull: this.#diskFull,
    }
  }

  /** For the ground; undefined before the first reading. */
  telemetry() {
    if (this.#readings === undefined) return undefined
    const { cpu, memory, thermal, throttling, disk } = this.#readings
    return {
      model: this.model,
      cpu: cpu.busy,
      memory: memory.share,
      temperatureC: thermal.temperatureC,
      ...throttling,
      diskFull: this.#diskFull,
      diskFreeBytes: BigInt(disk?.freeBytes ?? 0),
      stateBytes: BigInt(disk?.stateBytes ?? 0),
      limitFps: this.limitFps === Infinity ? 0 : this.limitFps,
      limitReason: this.reasons.join(', '),
      framesSkipped: BigInt(this.#skipped),
    }
  }

  start(): void {
    const { stateDir, resources, logs } = this.#config
    this.#board = new Board({ stateDir, logDir: logs.dir, root: this.#root })
    this.#governor = new Governor({ minFps: resources.minFps })
    this.#tick()
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#running
  }

  /** Whether a frame is to be labelled. Footage that is read as fast as possible is taken whole. */
  take({ captureMs }: Frame): boolean {
    const limit = this.limitFps
    if (limit === Infinity || this.#config.camera.pace !== 'real-time') return true
    this.#limiter ??= new Sampler({ fps: limit })
    this.#limiter.setRate(limit)
    const taken = this.#limiter.offer(captureMs)
    if (!taken) this.#skipped += 1
    return taken
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    for (;;) {
      await this.#clock.sleep(READ_MS, signal)
      if (signal.aborted) return
      this.#tick()
    }
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs()
    const readings = this.#board!.read(nowMs)
    this.#readings = readings
    const before = this.limitFps
    const strain = strainOf(readings, this.#config.resources)
    const rates = { labelledFps: this.#labelledFps(), cameraFps: this.#camera.camera.fps }
    const limit = this.#governor!.update(nowMs, strain, rates)
    if (strain.over.length > 0) this.#reasons = strain.over
    if (limit === Infinity) this.#limiter = undefined
    if (limit < before) this.#log.warn(`At most ${limit.toFixed(1)} frames/s: ${strain.over.join(', ')}`)
    else if (limit > before) {
      this.#log.info(limit === Infinity ? 'All frames again' : `At most ${limit.toFixed(1)} frames/s`)
    }
    this.#keepDisk(readings)
  }

  #keepDisk({ disk }: BoardState): void {
    const { maxStateMB, minFreeMB } = this.#config.resources
    this.#limitLogs?.(minFreeMB * 1e6)
    if (disk === undefined) return
    const allowance = outboxAllowance(disk, {
      outboxBytes: this.#uplink.waitingBytes,
      quotaBytes: maxStateMB * 1e6,
      reserveBytes: minFreeMB * 1e6,
    })
    this.#uplink.limitDisk(allowance)
    const full = allowance < this.#uplink.waitingBytes || allowance === 0
    if (full && !this.#diskFull) {
      const nearlyFull = disk.freeBytes < minFreeMB * 1e6
      const what = nearlyFull
        ? `The disk is nearly full (${megabytes(disk.freeBytes)} free, ${minFreeMB} MB should be)`
        : `${this.#config.stateDir} holds ${megabytes(disk.stateBytes)}, ${maxStateMB} MB may be there`
      this.#log.warn(`${what}: unsent segments give way, oldest first`)
    } else if (!full && this.#diskFull) this.#log.info('There is room on the disk again')
    this.#diskFull = full
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
