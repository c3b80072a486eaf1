import { UserError } from '@kestrel/runtime'
import { isLoopback } from './credentials.js'

/**
 * @param options.secret a secret goes over this connection
 * @throws UserError when the URL is none, holds a password, or would send a secret unencrypted over a network
 */
export function checkBrokerUrl(url: string, { secret }: { secret: boolean }): void {
  const expected = 'expected something like mqtt://192.168.1.10:1883 (or mqtts, ws, wss)'
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw new UserError(
      `The broker's address ${JSON.stringify(withoutPassword(url))} is not a URL: ${expected}`,
    )
  }
  const { protocol, hostname } = parsed
  if (parsed.username !== '' || parsed.password !== '') {
    throw new UserError(
      `The broker's address ${JSON.stringify(withoutPassword(url))} holds a user or a password: these belong in a file of their own (docs/pairing.md)`,
    )
  }
  if (secret && ['mqtt:', 'ws:'].includes(protocol) && !isLoopback(hostname)) {
    throw new UserError(
      `The broker's address ${url} would send this drone's secret unencrypted: expected mqtts://${parsed.host}, or remove "broker" so that the credentials name it`,
    )
  }
  if (!['mqtt:', 'mqtts:', 'ws:', 'wss:'].includes(protocol)) {
    throw new UserError(`The broker's address ${JSON.stringify(url)} begins with ${protocol}: ${expected}`)
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}
