import { type Clock, UserError } from '@kestrel/runtime'
import { Serial } from './serial.js'
import { TcpClient } from './tcp-client.js'
import type { Address, Transport } from './transport.js'
import { Udp } from './udp.js'

/** Where MAVLink is spoken, as it is written in configurations. */
export type Endpoint =
  | { kind: 'serial'; path: string; baudRate: number }
  | ({ kind: 'udpin' | 'udpout' | 'tcp' } & Address)

export const endpointHelp =
  'serial:/dev/ttyAMA0:921600, udpin:0.0.0.0:14550 (listens), udpout:127.0.0.1:14551 (speaks first) or tcp:127.0.0.1:5760'

const DEFAULT_BAUD = 57_600

/**
 * Reads `serial:DEVICE[:BAUD]`, `udpin:HOST:PORT`, `udpout:HOST:PORT` or `tcp:HOST:PORT`; an IPv6 address stands in brackets.
 *
 * @throws UserError
 */
export function parseEndpoint(text: string): Endpoint {
  const serial = /^serial:(\/[^:\s]+)(?::(\d+))?$/.exec(text)
  if (serial !== null) {
    const baudRate = Number(serial[2] ?? DEFAULT_BAUD)
    if (baudRate >= 1200 && baudRate <= 12_500_000) return { kind: 'serial', path: serial[1], baudRate }
  }
  const network = /^(udpin|udpout|tcp):(?:\[([\da-f:]+)\]|([^\s:[\]]+)):(\d{1,5})$/i.exec(text)
  if (network !== null) {
    const port = Number(network[4])
    const kind = network[1].toLowerCase() as 'udpin' | 'udpout' | 'tcp'
    const host = network[2] ?? network[3]
    if (port >= 1 && port <= 65_535 && (kind === 'tcp' || network[2] === undefined))
      return { kind, host, port }
  }
  throw new UserError(`"${text}" is no MAVLink endpoint: expected ${endpointHelp}`)
}

/** A transport for an endpoint; it opens when it is started. */
export function openEndpoint(endpoint: Endpoint, clock: Clock): Transport {
  switch (endpoint.kind) {
    case 'serial':
      return new Serial(endpoint)
    case 'tcp':
      return new TcpClient(endpoint, clock)
    case 'udpin':
      return new Udp({ bind: endpoint, clock })
    case 'udpout':
      return new Udp({ target: endpoint, onlyTarget: true, clock })
  }
}
