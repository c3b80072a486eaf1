import { CpuMeter, type CpuReading } from './cpu.js'
import { type DiskReading, readDisk } from './disk.js'
import { type MemoryReading, readMemory } from './memory.js'
import { SystemFiles } from './system-files.js'
import { readThermal, type ThermalReading } from './thermal.js'
import { type Throttling, ThrottlingMeter } from './throttling.js'

/** How the companion computer does. */
export interface BoardState {
  uptimeMs: number
  cpu: CpuReading
  memory: MemoryReading
  thermal: ThermalReading
  throttling: Throttling
  /** Undefined where the state folder cannot be read. */
  disk: DiskReading | undefined
}

/** Reads the board. Nothing here fails: what a board does not tell is absent. */
export class Board {
  /** Such as `Raspberry Pi 5 Model B Rev 1.0`; empty where the board does not say. */
  readonly model: string
  readonly #files: SystemFiles
  readonly #cpu: CpuMeter
  readonly #throttling: ThrottlingMeter
  readonly #stateDir: string
  readonly #logDir: string | undefined

  /** @param options.root where /proc and /sys lie; tests give a tree of their own */
  constructor(options: { stateDir: string; logDir?: string; root?: string }) {
    this.#files = new SystemFiles(options.root)
    this.#cpu = new CpuMeter(this.#files)
    this.#throttling = new ThrottlingMeter(this.#files)
    this.#stateDir = options.stateDir
    this.#logDir = options.logDir
    this.model =
      this.#files.text('/proc/device-tree/model') ?? this.#files.text('/sys/class/dmi/id/product_name') ?? ''
  }

  /** @param nowMs any clock that rises; shares of CPU time are those since the last call */
  read(nowMs: number): BoardState {
    return {
      uptimeMs: 1000 * Number(this.#files.text('/proc/uptime')?.match(/^\d+(\.\d+)?/)?.[0] ?? 0),
      cpu: this.#cpu.read(nowMs),
      memory: readMemory(this.#files),
      thermal: readThermal(this.#files),
      throttling: this.#throttling.read(nowMs),
      disk: this.#readDisk(),
    }
  }

  #readDisk(): DiskReading | undefined {
    try {
      return readDisk(this.#stateDir, this.#logDir)
    } catch {
      return undefined
    }
  }
}
