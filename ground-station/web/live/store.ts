import { useEffect, useState } from 'preact/hooks'
import type { DroneState, FromServer, Hello, LiveEvent, News, UpdateRow } from '../../dashboard/wire.js'
import { History } from './history.js'

const MAX_EVENTS = 500
const RETRY_MS = { first: 500, most: 5000 }

/** One drone as this page knows it. */
export interface LiveDrone {
  state: DroneState
  history: History
  updates: UpdateRow[]
}

/** What the ground station told this page so far, and whether it still does. */
export class LiveStore {
  hello: Hello | undefined
  connected = false
  /** Since when it is not, Unix ms of this machine. */
  lostMs: number | undefined
  readonly drones = new Map<string, LiveDrone>()
  /** Newest first. */
  events: LiveEvent[] = []
  /** Clock of the ground station less ours, ms: the page may be open on another machine. */
  #offsetMs = 0
  #retryMs = RETRY_MS.first
  readonly #listeners = new Set<() => void>()

  /** Now by the ground station's clock, ms. */
  nowMs(): number {
    return Date.now() + this.#offsetMs
  }

  connect(): void {
    const socket = new WebSocket(
      `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/live`,
    )
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data as string) as FromServer)
    socket.onclose = () => {
      if (this.connected) this.lostMs = Date.now()
      this.connected = false
      this.#changed()
      setTimeout(() => this.connect(), this.#retryMs)
      this.#retryMs = Math.min(RETRY_MS.most, 2 * this.#retryMs)
    }
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #take(message: FromServer): void {
    this.#offsetMs = message.nowMs - Date.now()
    if (message.kind === 'hello') this.#begin(message)
    else this.#news(message)
    this.#changed()
  }

  /** The server tells a new connection everything again. */
  #begin(hello: Hello): void {
    this.hello = hello
    this.connected = true
    this.#retryMs = RETRY_MS.first
    this.drones.clear()
    this.events = []
  }

  #news({ drones, rows, updates, events }: News): void {
    for (const state of drones) {
      const known = this.drones.get(state.name)
      if (known !== undefined) known.state = state
      else this.drones.set(state.name, { state, history: new History(this.hello!.historyS), updates: [] })
    }
    for (const [name, added] of Object.entries(rows)) this.drones.get(name)?.history.add(added)
    for (const [name, list] of Object.entries(updates)) {
      const drone = this.drones.get(name)
      if (drone !== undefined) drone.updates = list
    }
    this.events = [...events.toReversed(), ...this.events].slice(0, MAX_EVENTS)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Draws the component anew on news, at most once a frame, and once a second so that ages go on. */
export function useStore(store: LiveStore): void {
  const [, draw] = useState(0)
  useEffect(() => {
    let asked = 0
    const ask = () => {
      cancelAnimationFrame(asked)
      asked = requestAnimationFrame(() => draw(count => count + 1))
    }
    const end = store.subscribe(ask)
    const timer = setInterval(ask, 1000)
    return () => {
      end()
      clearInterval(timer)
      cancelAnimationFrame(asked)
    }
  }, [store])
}
