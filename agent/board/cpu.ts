import { ownGroups } from './cgroup.js'
import type { SystemFiles } from './system-files.js'

export interface CpuReading {
  /** Share of the time that all cores together were busy, 0..1. */
  busy: number
  /** The same for each core. */
  cores: number[]
  /** Share of the agent's own CPU quota (systemd `CPUQuota=`) in use, 0..1; 0 without a quota. */
  quota: number
  /** Whether the kernel held the agent back because its quota was used up. */
  heldBack: boolean
}

interface Counters {
  atMs: number
  /** Ticks of [all, core 0, core 1, …]. */
  ticks: { busy: number; total: number }[]
  usageUs: number
  periods: number
  throttledPeriods: number
}

/** The quota is felt where more than this share of its periods (100 ms each) ended early. */
const HELD_BACK_SHARE = 0.1

/** CPU time between one reading and the next. */
export class CpuMeter {
  readonly #files: SystemFiles
  #last: Counters | undefined

  constructor(files: SystemFiles) {
    this.#files = files
  }

  /** @param nowMs any clock that rises */
  read(nowMs: number): CpuReading {
    const now = this.#counters(nowMs)
    const last = this.#last
    this.#last = now
    if (last === undefined || now.ticks.length !== last.ticks.length || nowMs <= last.atMs) {
      return { busy: 0, cores: now.ticks.slice(1).map(() => 0), quota: 0, heldBack: false }
    }
    const [busy = 0, ...cores] = now.ticks.map(({ busy, total }, i) => {
      const passed = total - last.ticks[i].total
      return passed > 0 ? Math.min(1, Math.max(0, (busy - last.ticks[i].busy) / passed)) : 0
    })
    const periods = now.periods - last.periods
    const allowed = this.#cpusAllowed() * (nowMs - last.atMs) * 1000
    return {
      busy,
      cores,
      quota: Math.max(0, now.usageUs - last.usageUs) / allowed,
      heldBack: periods > 0 && (now.throttledPeriods - last.throttledPeriods) / periods > HELD_BACK_SHARE,
    }
  }

  #counters(atMs: number): Counters {
    const lines = (this.#files.text('/proc/stat') ?? '').matchAll(/^cpu\d* +(\d+(?: \d+){3,}) *$/gm)
    const ticks = [...lines].map(([, line]) => {
      // proc(5): user nice system idle iowait irq softirq steal; guest time is part of user time already.
      const times = line.split(' ').slice(0, 8).map(Number)
      const total = times.reduce((sum, time) => sum + time, 0)
      return { total, busy: total - times[3] - (times[4] ?? 0) }
    })
    const [group] = ownGroups(this.#files)
    const stat = group === undefined ? '' : (this.#files.text(`${group}/cpu.stat`) ?? '')
    const field = (name: string) => Number(stat.match(new RegExp(`^${name} (\\d+)$`, 'm'))?.[1] ?? 0)
    return {
      atMs,
      ticks,
      usageUs: field('usage_usec'),
      periods: field('nr_periods'),
      throttledPeriods: field('nr_throttled'),
    }
  }

  /** CPUs that the quotas of our control group and those above it allow; Infinity without any. */
  #cpusAllowed(): number {
    const quotas = ownGroups(this.#files).map(group => {
      const [quota, period] = (this.#files.text(`${group}/cpu.max`) ?? 'max').split(' ').map(Number)
      return quota / period
    })
    return Math.min(...quotas.filter(cpus => cpus > 0))
  }
}
