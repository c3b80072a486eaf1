import { type Log, messageOf } from '@kestrel/runtime'
import type { MavLinkData } from 'mavlink-mappings'
import { encode, FrameReader, type Received, type Sender } from './frames.js'
import type { Signing } from './signing.js'
import type { Exchange, Line, Transport } from './transport.js'

/** A party on the other side. It may speak for many systems, as a router does. */
export interface Neighbour {
  readonly name: string
  /** Messages that were understood and believed. */
  readonly heard: number
}

interface Peer extends Neighbour {
  heard: number
  readonly line: Line
  readonly reader: FrameReader
  /** The next sequence number of each of our components on this line. */
  readonly sequences: Map<number, number>
}

export interface HubOptions {
  transport: Transport
  /** Frames are signed, and unsigned or wrong ones refused. */
  signing?: Signing
  /** Called with each message; what it throws is logged and goes no further. */
  onMessage: (received: Received, from: Neighbour) => void
  onOpened?: (neighbour: Neighbour) => void
  onClosed?: (neighbour: Neighbour) => void
  /** Told each frame that crosses a line, in either direction, signature included; must return soon and not throw. */
  onFrame?: (frame: Uint8Array) => void
  log: Log
}

/** MAVLink over all lines of a transport. Nothing that is heard is passed on: routing is for routers. */
export class Hub implements Exchange {
  readonly #options: HubOptions
  readonly #peers = new Map<Line, Peer>()
  #messages = 0
  #failed = 0
  #brokenBefore = 0

  constructor(options: HubOptions) {
    this.#options = options
  }

  get neighbours(): Neighbour[] {
    return [...this.#peers.values()]
  }

  /** Messages understood, frames with a wrong checksum, messages whose handler failed. */
  get counts(): { messages: number; broken: number; failed: number } {
    const broken = [...this.#peers.values()].reduce((sum, { reader }) => sum + reader.broken, 0)
    return { messages: this.#messages, broken: broken + this.#brokenBefore, failed: this.#failed }
  }

  /** @throws UserError where the transport cannot be had, unless it is a persistent one */
  async start(): Promise<void> {
    await this.#options.transport.start(this)
  }

  async stop(): Promise<void> {
    await this.#options.transport.stop()
  }

  /**
   * Sends to one neighbour, or to all of them.
   *
   * @param from which of our components speaks
   */
  send(data: MavLinkData, from: Sender, to?: Neighbour): void {
    for (const peer of this.#peers.values()) {
      if (to === undefined || to === peer) this.#send(data, from, peer)
    }
  }

  opened(line: Line, name: string): void {
    const { signing, onOpened } = this.#options
    const reader = new FrameReader(signing && ((frame, id) => signing.accepts(frame, id)))
    const peer = { name, line, reader, heard: 0, sequences: new Map() }
    this.#peers.set(line, peer)
    onOpened?.(peer)
  }

  received(line: Line, bytes: Uint8Array): void {
    const peer = this.#peers.get(line)
    if (peer === undefined) return
    for (const received of peer.reader.read(bytes)) {
      peer.heard += 1
      this.#messages += 1
      this.#options.onFrame?.(received.frame)
      try {
        this.#options.onMessage(received, peer)
      } catch (error) {
        this.#failed += 1
        const { name } = received.data.constructor
        this.#options.log.debug(`A ${name} message could not be handled: ${messageOf(error)}`)
      }
    }
  }

  closed(line: Line): void {
    const peer = this.#peers.get(line)
    if (peer === undefined) return
    this.#peers.delete(line)
    this.#brokenBefore += peer.reader.broken
    this.#options.onClosed?.(peer)
  }

  #send(data: MavLinkData, from: Sender, { line, sequences }: Peer): void {
    const { signing } = this.#options
    const sequence = sequences.get(from.component) ?? 0
    sequences.set(from.component, (sequence + 1) & 0xff)
    const frame = encode(data, sequence, from, { signed: signing !== undefined })
    const whole = signing === undefined ? frame : signing.sign(frame)
    line.write(whole)
    this.#options.onFrame?.(whole)
  }
}
