import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Incidents } from '@kestrel/runtime'
import type { Hono } from 'hono'
import type { Authorize, Denial } from './authorize.js'
import type { MountRoutes } from './server.js'

const COOKIE = 'kestrel-dashboard'

/** A month, s. */
const COOKIE_S = 30 * 24 * 3600

/** Where the address that opens the dashboard leads: it leaves a cookie there, and goes on to the page itself. */
const ENTRY = '/enter/'

const denial: Denial = {
  status: 401,
  reason:
    'This dashboard needs the address with its token: kestrel-ground dashboard prints it (docs/pairing.md)',
}

/**
 * Lets those in who have the token. The cookie is not the token, is read by no script, and goes along with requests of our own pages only
 * (SameSite=Strict), which `checkOrigin` sees to as well.
 */
export class TokenAccess {
  readonly #token: string
  readonly #secure: boolean
  readonly #incidents: Incidents

  /** @param options.secure the dashboard speaks TLS */
  constructor(options: { token: string; secure: boolean; incidents: Incidents }) {
    this.#token = options.token
    this.#secure = options.secure
    this.#incidents = options.incidents
  }

  /** For `DashboardOptions`. */
  readonly authorize: Authorize = request => {
    const path = (request.url ?? '').split('?')[0]
    if (path.startsWith(ENTRY) || same(cookieOf(request), this.#session)) return undefined
    // A browser asks for its icon by itself.
    if (path !== '/favicon.ico') {
      this.#incidents.add(
        'dashboard',
        `Somebody at ${request.socket.remoteAddress} asked for the dashboard without its token`,
      )
    }
    return denial
  }

  /** For `DashboardOptions.routes`. */
  readonly routes: MountRoutes = (app: Hono) => {
    app.get(`${ENTRY}:token`, context => {
      if (!same(context.req.param('token'), this.#token)) {
        this.#incidents.add('dashboard', 'Somebody opened the dashboard with a wrong token')
        return context.json({ error: denial.reason }, 401)
      }
      const flags = `HttpOnly; SameSite=Strict; Path=/; Max-Age=${COOKIE_S}${this.#secure ? '; Secure' : ''}`
      context.header('Set-Cookie', `${COOKIE}=${this.#session}; ${flags}`)
      context.header('Cache-Control', 'no-store')
      return context.redirect('/')
    })
  }

  /** The address that opens the dashboard: a secret. */
  static entry(url: string, token: string): string {
    return `${url}${ENTRY}${token}`
  }

  get #session(): string {
    return createHash('sha256').update(`${COOKIE}:${this.#token}`).digest('base64url')
  }
}

function cookieOf({ headers }: IncomingMessage): string {
  const all = (headers.cookie ?? '').split(';').map(part => part.trim().split('='))
  return all.find(([name]) => name === COOKIE)?.[1] ?? ''
}

function same(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map(text => createHash('sha256').update(text).digest())
  return timingSafeEqual(a, b)
}
