import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** Why a request is not served: an HTTP status, and a sentence for whoever asked. */
export interface Denial {
  status: 401 | 403
  reason: string
}

/** Decides about every HTTP request and every WebSocket before anything else looks at it. @returns undefined where it may go on */
export type Authorize = (request: IncomingMessage) => Denial | undefined

/** Who reaches the port may look and steer: right as long as that is this machine only. */
export const allowAll: Authorize = () => undefined

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]'])

/**
 * Pages of other sites must not read along or steer through the browser of somebody who may (RFC 6455, 10.2): a request that names
 * an origin must name our own. And where only this machine is served, the name that it is asked by must be this machine's, so that no
 * page gives its own name our address (DNS rebinding).
 *
 * @param host the address that the server listens on
 */
export function checkOrigin(headers: IncomingHttpHeaders, host: string): Denial | undefined {
  const asked = headers.host ?? ''
  const url = `http://${asked}`
  const name = URL.canParse(url) ? new URL(url).hostname : ''
  if (isLoopback(host) && !loopback.has(name)) {
    return {
      status: 403,
      reason: `This dashboard serves its own machine only; it was asked for as ${JSON.stringify(asked)}`,
    }
  }
  const { origin } = headers
  if (origin === undefined) return undefined
  if (URL.canParse(origin) && new URL(origin).host === asked) return undefined
  return { status: 403, reason: `Pages of ${origin} may not use this dashboard` }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
