import { readdirSync, readFileSync } from 'node:fs'

export interface Vitals {
  /** Resident memory, MB. */
  rssMB: number
  /** Open file descriptors. */
  fds: number
}

/** What a process holds now; undefined where it is gone. */
export function readVitals(pid: number): Vitals | undefined {
  try {
    const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    if (rss === null) return undefined
    return { rssMB: Number(rss[1]) / 1024, fds: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return undefined
  }
}

/** What one life of a process held over time. */
export class VitalsLog {
  readonly #samples: (Vitals & { atS: number })[] = []

  add(atS: number, vitals: Vitals): void {
    this.#samples.push({ atS, ...vitals })
  }

  get max(): Vitals {
    return {
      rssMB: Math.max(0, ...this.#samples.map(({ rssMB }) => rssMB)),
      fds: Math.max(0, ...this.#samples.map(({ fds }) => fds)),
    }
  }

  /**
   * Growth from the second quarter to the last one, medians; the first quarter is warming up.
   *
   * @returns undefined where the life was shorter than `minS`
   */
  growth(minS: number): Vitals | undefined {
    const samples = this.#samples
    const first = samples[0]
    const last = samples[samples.length - 1]
    if (first === undefined || last.atS - first.atS < minS) return undefined
    const quarter = (from: number) =>
      samples.slice((samples.length * from) / 4, (samples.length * (from + 1)) / 4)
    const of = (key: keyof Vitals) =>
      median(quarter(3).map(v => v[key])) - median(quarter(1).map(v => v[key]))
    return { rssMB: of('rssMB'), fds: of('fds') }
  }
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
