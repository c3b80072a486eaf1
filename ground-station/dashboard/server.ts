import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { secureHeaders } from 'hono/secure-headers'
import { type Authorize, allowAll, checkOrigin, type Denial } from './authorize.js'
import { mountPages } from './pages.js'

/** Adds what a part of the dashboard answers to, below `/api/<part>/`. */
export type MountRoutes = (app: Hono) => void

/** Takes over a connection that asked to become a WebSocket; it was authorized. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Nobody uploads anything: what is posted is a command. */
const MAX_BODY_BYTES = 64 * 1024
/** Browsers open some six each. */
const MAX_CONNECTIONS = 256
const HEADERS_MS = 10_000

export interface DashboardOptions {
  host: string
  /** 0 takes any free one. */
  port: number
  /** The page that `/` shows. */
  home?: 'live' | 'review'
  /** URL of map tiles with {z}, {x} and {y}; pages may load pictures from there. */
  tiles?: string
  routes: MountRoutes[]
  /** Path of each WebSocket, and who takes it. */
  sockets?: Record<string, Upgrade>
  authorize?: Authorize
  /** PEM, for TLS; without, there is none. */
  certificate?: { key: string; certificate: string }
  log: Log
}

/** The HTTP server of the dashboard and the review: the pages, their data, WebSockets. Nothing outside it is ever loaded by a page. */
export class DashboardServer {
  readonly #options: DashboardOptions
  readonly #log: Log
  #server: Server | undefined

  constructor(options: DashboardOptions) {
    this.#options = options
    this.#log = options.log.child('dashboard')
  }

  /** Where it is, as a URL; undefined while it does not run. */
  get url(): string | undefined {
    const address = this.#server?.address() as AddressInfo | null | undefined
    if (address == null) return undefined
    const { host } = this.#options
    const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
    const scheme = this.#options.certificate === undefined ? 'http' : 'https'
    return `${scheme}://${name}:${address.port}`
  }

  /** @throws UserError where the port is taken or the address is not this machine's */
  async start(): Promise<void> {
    const { host, port, sockets = {}, certificate, log } = this.#options
    const limits = { headersTimeout: HEADERS_MS, handshakeTimeout: HEADERS_MS }
    const listener = getRequestListener(this.#app().fetch, {
      errorHandler: error => {
        log.warn(`A request of the dashboard failed: ${messageOf(error)}`)
      },
    })
    const server =
      certificate === undefined
        ? createServer(limits, listener)
        : createSecureServer({ ...limits, key: certificate.key, cert: certificate.certificate }, listener)
    server.maxConnections = MAX_CONNECTIONS
    server.on('upgrade', (request, socket: Duplex, head) => {
      socket.on('error', () => undefined)
      const upgrade = sockets[new URL(request.url ?? '/', 'http://localhost').pathname]
      const denial = this.#check(request)
      if (denial !== undefined) hangUp(socket, denial.status, denial.reason)
      else if (upgrade === undefined) hangUp(socket, 404, 'There is nothing here')
      else upgrade(request, socket, head)
    })
    try {
      server.listen(port, host)
      await once(server, 'listening')
    } catch (cause) {
      const busy = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
      throw new UserError(
        busy
          ? `Port ${port} of ${host} is taken by another program: choose another dashboard.port, or 0 for any free one`
          : `The dashboard cannot listen on ${host}:${port}: ${messageOf(cause)}`,
        { cause },
      )
    }
    server.on('error', error => this.#log.warn(`The dashboard's server: ${error.message}`))
    this.#server = server
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  #check(request: IncomingMessage): Denial | undefined {
    const { host, authorize = allowAll } = this.#options
    return checkOrigin(request.headers, host) ?? authorize(request)
  }

  #app(): Hono {
    const { home = 'live', tiles, routes } = this.#options
    const app = new Hono<{ Bindings: { incoming: IncomingMessage } }>()
    app.use(contentSecurity(tiles))
    app.use(async (context, next) => {
      const denial = this.#check(context.env.incoming)
      if (denial !== undefined) return context.json({ error: denial.reason }, denial.status)
      return next()
    })
    const tooBig = `A request may have ${MAX_BODY_BYTES} bytes at most`
    app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: context => context.json({ error: tooBig }, 413) }))
    app.onError((error, context) => {
      if (error instanceof HTTPException) return context.json({ error: error.message }, error.status)
      if (error instanceof UserError) return context.json({ error: error.message }, 400)
      this.#log.error(`${context.req.method} ${context.req.path}: ${messageOf(error)}`, {
        stack: error.stack,
      })
      return context.json({ error: 'The ground station could not do this; its log says why' }, 500)
    })
    app.notFound(context => context.json({ error: `There is nothing at ${context.req.path}` }, 404))
    const plain = app as unknown as Hono
    mountPages(plain, { home })
    for (const mount of routes) mount(plain)
    return plain
  }
}

/** Scripts, styles and data come from here alone; pictures from the map's server as well, if there is one. */
function contentSecurity(tiles: string | undefined) {
  const pictures = ["'self'", 'data:', 'blob:', ...(tiles === undefined ? [] : [tileOrigin(tiles)])]
  return secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: pictures,
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    crossOriginOpenerPolicy: 'same-origin',
    crossOriginResourcePolicy: 'same-origin',
    referrerPolicy: 'no-referrer',
    // Said only where there is TLS.
    strictTransportSecurity: false,
  })
}

/** `https://{s}.tiles.example/{z}/{x}/{y}.png` → `https://*.tiles.example`. @throws UserError where it is no such URL */
function tileOrigin(tiles: string): string {
  const found = /^(https?:\/\/)([^/]+)\//.exec(tiles)
  if (found === null || !/\{z\}.*\{x\}.*\{y\}|\{z\}.*\{y\}.*\{x\}/.test(tiles)) {
    throw new UserError(
      `dashboard.tiles is ${JSON.stringify(tiles)}; expected a URL such as https://tiles.example/{z}/{x}/{y}.png`,
    )
  }
  return `${found[1]}${found[2].replace('{s}', '*')}`
}

function hangUp(socket: Duplex, status: number, reason: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${status === 404 ? 'Not Found' : 'Forbidden'}\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${reason}\n`,
  )
}
