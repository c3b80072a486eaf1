import type { Judge } from './judge.js'
import type { LinkObserver } from './link-observer.js'
import type { VehicleObserver } from './vehicle-observer.js'

export interface Watched {
  link: LinkObserver
  vehicle: VehicleObserver
  judge: Judge
  /** What the ground station said last, about K for one. */
  groundSays: string
  /** Seconds since the start, and in all. */
  elapsedS: number
  totalS: number
}

const MARK_S = 5

/** Segments come every T_update, 10 s at first: over less, a rate would swing between nothing and twice as much. */
const RATE_MARKS = 6

const bars = ' ▁▂▃▄▅▆▇█'

/** What the demo shows: a block that is drawn again every second, or a line every ten seconds where nobody looks. */
export class Screen {
  readonly #live: boolean
  #lines = 0
  #saidS = 0
  /** Bytes so far, every 5 s, newest last. */
  #marks = [{ up: 0, down: 0, atS: 0 }]
  #rate = { up: 0, down: 0 }
  #series: { adapting: number[]; frozen: number[] } = { adapting: [], frozen: [] }

  constructor(options: { live: boolean }) {
    this.#live = options.live
  }

  /** A sentence that stays. */
  say(sentence: string): void {
    this.#clear()
    process.stdout.write(`${sentence}\n`)
  }

  update(watched: Watched): void {
    const { link, judge, elapsedS } = watched
    if (elapsedS - this.#marks[this.#marks.length - 1].atS >= MARK_S) {
      const [from] = this.#marks
      const seconds = elapsedS - from.atS
      this.#rate.up = (8 * (link.bytes.up - from.up)) / seconds / 1000
      this.#rate.down = (8 * (link.bytes.down - from.down)) / seconds / 1000
      this.#marks = [...this.#marks, { ...link.bytes, atS: elapsedS }].slice(-RATE_MARKS)
      if (judge.adapting !== undefined && judge.frozen !== undefined) {
        this.#series.adapting.push(judge.adapting)
        this.#series.frozen.push(judge.frozen)
      }
    }
    if (this.#live) this.#draw(watched)
    else if (elapsedS - this.#saidS >= 10) {
      this.#saidS = elapsedS
      process.stdout.write(`${this.#short(watched)}\n`)
    }
  }

  #short({ link, vehicle, judge, elapsedS }: Watched): string {
    return (
      `${elapsedS.toFixed(0)} s: mIoU ${percent(judge.adapting)} adapting, ${percent(judge.frozen)} frozen; model version ${link.modelVersion}, ` +
      `${link.updatesApplied} updates; ${link.fps.toFixed(1)} fps, ${link.latencyP50Ms.toFixed(0)} ms; ` +
      `up ${this.#rate.up.toFixed(0)}, down ${this.#rate.down.toFixed(0)} kbit/s; ${vehicle.describe()}`
    )
  }

  #draw({ link, vehicle, judge, groundSays, elapsedS, totalS }: Watched): void {
    const width = Math.min(process.stdout.columns ?? 100, 120)
    const lines = [
      `${clock(elapsedS)} of ${clock(totalS)}`,
      `vehicle    ${vehicle.describe()}`,
      `student    ${link.online ? `${link.fps.toFixed(1)} frames/s, ${link.latencyP50Ms.toFixed(0)} ms camera to label, ${link.framesDropped} dropped, model version ${link.modelVersion}` : 'not there'}`,
      `link       up ${this.#rate.up.toFixed(0)} kbit/s, down ${this.#rate.down.toFixed(0)} kbit/s; ${link.updatesApplied} updates applied, the last of ${(link.lastUpdateBytes / 1000).toFixed(0)} kB; sampling ${link.samplingFps.toFixed(2)} frames/s`,
      `ground     ${groundSays}`,
      `mIoU       adapting ${percent(judge.adapting)}  ${spark(this.#series.adapting, width - 32)}`,
      `           frozen   ${percent(judge.frozen)}  ${spark(this.#series.frozen, width - 32)}`,
    ].map(line => (line.length > width ? line.slice(0, width - 1) : line))
    this.#clear()
    process.stdout.write(`${lines.join('\n')}\n`)
    this.#lines = lines.length
  }

  #clear(): void {
    if (this.#lines > 0) process.stdout.write(`\x1b[${this.#lines}A\x1b[0J`)
    this.#lines = 0
  }
}

function percent(value: number | undefined): string {
  return value === undefined ? '   –  ' : `${value.toFixed(1).padStart(4)} %`
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}

/** The newest values as small bars, 0 to 100. */
function spark(values: number[], width: number): string {
  return values
    .slice(-Math.max(10, width))
    .map(value => bars[Math.min(8, Math.max(0, Math.round((8 * value) / 100)))])
    .join('')
}
