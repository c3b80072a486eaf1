import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Log } from '@kestrel/runtime'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Cursor, type LiveState, newCursor } from './live-state.js'
import type { Hello } from './wire.js'

/** How often pages hear what is new, ms. */
const TICK_MS = 500
/** A page that has not taken this much is left alone until it has: it gets the newest state then, and every row of the history. */
const MAX_BUFFERED_BYTES = 256 * 1024
const MAX_PAGES = 32
/** A page that is not heard for two of these is gone, ms. */
const PING_MS = 15_000

interface Page {
  socket: WebSocket
  cursor: Cursor
  skipped: number
  alive: boolean
}

/**
 * Tells pages what is new over WebSockets. Nothing is queued for a page: each tick sends what it does not have, if it has taken what came
 * before, so that a slow page costs no memory and holds up nobody.
 */
export class LiveSocket {
  readonly #state: LiveState
  readonly #hello: () => Hello
  readonly #log: Log
  readonly #pages = new Set<Page>()
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: 1024, perMessageDeflate: false })
  #timers: NodeJS.Timeout[] = []

  constructor(options: { state: LiveState; hello: () => Hello; log: Log }) {
    this.#state = options.state
    this.#hello = options.hello
    this.#log = options.log
  }

  start(): void {
    this.#timers = [setInterval(() => this.tick(), TICK_MS), setInterval(() => this.#ping(), PING_MS)]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const { socket } of this.#pages) socket.terminate()
    this.#server.close()
  }

  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (this.#pages.size >= MAX_PAGES) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n')
      return
    }
    this.#server.handleUpgrade(request, socket, head, opened => this.#take(opened))
  }

  /** Sends each page what it does not have yet. */
  tick(): void {
    for (const page of this.#pages) this.#tell(page)
  }

  #take(socket: WebSocket): void {
    const page: Page = { socket, cursor: newCursor(), skipped: 0, alive: true }
    this.#pages.add(page)
    socket.on('close', () => this.#pages.delete(page))
    socket.on('error', error => this.#log.debug(`A page is gone: ${error.message}`))
    socket.on('pong', () => {
      page.alive = true
    })
    socket.send(JSON.stringify(this.#hello()))
    this.#tell(page)
  }

  #tell(page: Page): void {
    const { socket, cursor } = page
    if (socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      page.skipped++
      return
    }
    const news = this.#state.newsFor(cursor)
    if (news !== undefined) socket.send(JSON.stringify({ ...news, skipped: page.skipped }))
  }

  #ping(): void {
    for (const page of this.#pages) {
      if (!page.alive) {
        page.socket.terminate()
        continue
      }
      page.alive = false
      page.socket.ping()
    }
  }
}
