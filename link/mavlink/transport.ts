/** One party on the other side that can be spoken to. */
export interface Line {
  /** Sends a frame at once, or drops it where the other side takes nothing: who speaks MAVLink never waits. */
  write(frame: Buffer): void
}

/** What a transport tells of its lines. */
export interface Exchange {
  opened(line: Line, name: string): void
  received(line: Line, bytes: Uint8Array): void
  closed(line: Line, name: string): void
}

/** A way in and out: opens and closes lines as others come and go. */
export interface Transport {
  /** Resolves once others can be heard. @throws UserError where the address or device cannot be had */
  start(exchange: Exchange): Promise<void>
  stop(): Promise<void>
  /** Resolves when it has been lost and will not come back by itself; absent where that cannot happen. */
  readonly lost?: Promise<void>
}

export interface Address {
  host: string
  port: number
}
