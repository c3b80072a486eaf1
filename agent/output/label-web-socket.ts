import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import { type WebSocket, WebSocketServer } from 'ws'
import { PREFIX_BYTES } from './label-message.js'
import type { Readers } from './readers.js'

/** Only this machine: labels on a network are the ground's business. */
const HOST = '127.0.0.1'
/** A reader has nothing to say but "next". */
const MAX_REQUEST_BYTES = 1024
/** How often it may say so from one frame to the next. */
const MAX_HEARD = 64
/** Those that have not said yet what they want among them. */
const MAX_CONNECTIONS = 256

/** Labels on a WebSocket of this machine: one binary message each. */
export class LabelWebSocket {
  readonly #port: number
  readonly #readers: Readers
  readonly #log: Log
  #http: Server | undefined
  #server: WebSocketServer | undefined

  constructor(options: { port: number; readers: Readers; log: Log }) {
    this.#port = options.port
    this.#readers = options.readers
    this.#log = options.log
  }

  /** The port that it has, where any free one was asked for. */
  get port(): number {
    return (this.#http?.address() as AddressInfo | null | undefined)?.port ?? this.#port
  }

  /** @throws UserError where the port is taken */
  async start(): Promise<void> {
    const http = createServer((_, response) => {
      response
        .writeHead(426, { connection: 'close' })
        .end('Labels are read by WebSocket: docs/label-output.md\n')
    })
    http.maxConnections = MAX_CONNECTIONS
    try {
      http.listen(this.#port, HOST)
      await once(http, 'listening')
    } catch (cause) {
      throw new UserError(
        `Labels cannot be offered on port ${this.#port}: ${messageOf(cause)}; choose another output.webSocketPort`,
        { cause },
      )
    }
    const server = new WebSocketServer({
      server: http,
      maxPayload: MAX_REQUEST_BYTES,
      // Runs of labels hardly shrink, and it would cost more than all the rest.
      perMessageDeflate: false,
      verifyClient: ({ req }, answer) => {
        if (!isLocal(req)) answer(false, 403, 'Forbidden')
        else if (this.#readers.full) answer(false, 503, 'Service Unavailable')
        else answer(true)
      },
    })
    server.on('error', error => this.#log.warn(`WebSocket: ${error.message}`))
    server.on('connection', socket => this.#take(socket))
    this.#http = http
    this.#server = server
  }

  async stop(): Promise<void> {
    const http = this.#http
    if (http === undefined) return
    for (const socket of this.#server?.clients ?? []) socket.terminate()
    const closed = once(http, 'close')
    http.close()
    http.closeAllConnections()
    await closed
  }

  #take(socket: WebSocket): void {
    let heard = 0
    const reader = this.#readers.join({
      send: (message, sent) => {
        socket.send(message.subarray(PREFIX_BYTES), error => {
          heard = 0
          if (socket.isPaused) socket.resume()
          if (error == null) sent()
        })
      },
    })
    socket.on('error', error => this.#log.debug(`A reader of labels is gone: ${error.message}`))
    socket.on('message', () => {
      // As on the Unix socket: a flood waits on its own side until the next frame.
      if (++heard > MAX_HEARD) socket.pause()
      reader.ask()
    })
    socket.on('close', () => this.#readers.leave(reader))
    socket.send(this.#readers.hello.subarray(PREFIX_BYTES))
  }
}

/**
 * A browser sends the page's origin: pages of other sites must not read along, which the browser itself would let them (RFC 6455, 10.2).
 * Programs send none. The name in Host stops pages that gave their own name our address.
 */
function isLocal({ headers }: IncomingMessage): boolean {
  const local = new Set(['127.0.0.1', 'localhost'])
  const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : '')
  const { host = '', origin } = headers
  return local.has(hostOf(`http://${host}`)) && (origin === undefined || local.has(hostOf(origin)))
}
