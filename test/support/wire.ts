import type { Exchange, Line, Transport } from '@kestrel/link/mavlink'

/** One end of a wire without sockets: what is written at one comes out at the other, at once. */
export class WireEnd implements Transport {
  /** Says which frames get lost on their way out of this end. */
  loses: (frame: Buffer) => boolean = () => false
  readonly sent: Buffer[] = []
  readonly #line: Line = { write: frame => this.#write(frame) }
  #other: WireEnd | undefined
  #exchange: Exchange | undefined

  static pair(): [WireEnd, WireEnd] {
    const [one, other] = [new WireEnd(), new WireEnd()]
    one.#other = other
    other.#other = one
    return [one, other]
  }

  async start(exchange: Exchange): Promise<void> {
    this.#exchange = exchange
    exchange.opened(this.#line, 'a wire')
  }

  async stop(): Promise<void> {
    this.close()
  }

  /** The other side goes away. */
  close(): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    exchange?.closed(this.#line, 'a wire')
  }

  /** Bytes that come in here. */
  hear(bytes: Uint8Array): void {
    this.#exchange?.received(this.#line, bytes)
  }

  #write(frame: Buffer): void {
    this.sent.push(frame)
    if (!this.loses(frame)) this.#other?.hear(frame)
  }
}
