import type { Clock } from '@kestrel/runtime'
import type { GroundEvent, GroundObserver } from '../service/observer.js'
import { DroneLive } from './drone-live.js'
import type { LiveEvent, News } from './wire.js'

/** Events that are kept, of all drones together. */
const MAX_EVENTS = 500

/** Where a page stands: what it has got of each drone. */
export interface Cursor {
  drones: Map<string, { revision: number; updates: number; rows: number }>
  /** The number of the last event. */
  event: number
}

export function newCursor(): Cursor {
  return { drones: new Map(), event: 0 }
}

/** All that the live page shows, kept for half an hour so that a page that is loaded anew shows it at once. */
export class LiveState {
  readonly drones = new Map<string, DroneLive>()
  readonly #clock: Clock
  #events: LiveEvent[] = []
  #eventsEver = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What keeps it up to date. */
  readonly observer: GroundObserver = {
    message: (name, message) => this.#drone(name).message(message),
    status: (name, status, refusal) => this.#drone(name).status(status, refusal),
    telemetry: (name, telemetry) => {
      const timeMs = this.#clock.nowMs()
      for (const news of this.#drone(name).telemetry(telemetry, timeMs))
        this.#event(name, { ...news, timeMs })
    },
    phase: (name, phase) => this.#drone(name).phase(phase),
    updateResult: (name, result) => this.#drone(name).updateResult(result, this.#clock.nowMs()),
    view: (name, view) => this.#drone(name).view(view, this.#clock.nowMs()),
    event: (name, event) => this.#event(name, event),
  }

  /**
   * What a page does not have yet; it has it from here on. However long it was away, that is at most the last half hour.
   *
   * @returns undefined where nothing is new
   */
  newsFor(cursor: Cursor): Omit<News, 'skipped'> | undefined {
    const nowMs = this.#clock.nowMs()
    const news: Omit<News, 'skipped'> = { kind: 'news', nowMs, drones: [], rows: {}, updates: {}, events: [] }
    for (const [name, drone] of this.drones) {
      const seen = cursor.drones.get(name) ?? { revision: -1, updates: -1, rows: 0 }
      if (seen.revision === drone.revision) continue
      news.drones.push(drone.state(nowMs))
      const rows = drone.rowsFrom(seen.rows)
      if (rows.length > 0) news.rows[name] = rows
      if (seen.updates !== drone.updatesRevision) news.updates[name] = drone.updates
      cursor.drones.set(name, {
        revision: drone.revision,
        updates: drone.updatesRevision,
        rows: drone.rowsEver,
      })
    }
    news.events = this.#events.filter(({ seq }) => seq > cursor.event)
    cursor.event = this.#eventsEver
    return news.drones.length > 0 || news.events.length > 0 ? news : undefined
  }

  #drone(name: string): DroneLive {
    // The ground station bounds the number of drones.
    let drone = this.drones.get(name)
    if (drone === undefined) {
      drone = new DroneLive(name, this.#clock.nowMs())
      this.drones.set(name, drone)
    }
    return drone
  }

  #event(drone: string, { timeMs, severity, type, text }: GroundEvent): void {
    this.#events.push({ seq: ++this.#eventsEver, drone, timeMs, severity, type, text })
    this.#events = this.#events.slice(-MAX_EVENTS)
  }
}
