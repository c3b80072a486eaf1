import { type Clock, messageOf } from '@kestrel/runtime'
import { Backoff } from '../backoff.js'
import type { Exchange, Line, Transport } from './transport.js'

/** Keeps a transport open for ever: opens it again, with back-off, whenever it is lost or cannot be had. */
export class Persistent implements Transport {
  readonly #open: () => Transport
  readonly #options: PersistentOptions
  readonly #backoff: Backoff
  readonly #stopped = new AbortController()
  #transport: Transport | undefined
  #running: Promise<void> | undefined

  /** @param open makes a fresh transport; one that was lost is not used again */
  constructor(open: () => Transport, options: PersistentOptions) {
    this.#open = open
    this.#options = options
    this.#backoff = new Backoff({ seed: options.seed, ...options.retryMs })
  }

  /** Resolves at once, or with `firstMustOpen` when it is open. @throws UserError then, where it cannot be had */
  async start(exchange: Exchange): Promise<void> {
    // Who speaks is there: the next outage is a new one. A device that opens and says nothing is not.
    const watched: Exchange = {
      opened: (line, name) => exchange.opened(line, name),
      closed: (line: Line, name) => exchange.closed(line, name),
      received: (line, bytes) => {
        this.#backoff.reset()
        exchange.received(line, bytes)
      },
    }
    if (this.#options.firstMustOpen) await this.#start(watched)
    this.#running = this.#run(watched)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#transport?.stop()
    await this.#running
  }

  async #start(exchange: Exchange): Promise<void> {
    this.#transport = this.#open()
    try {
      await this.#transport.start(exchange)
      this.#options.onOpen?.()
    } catch (error) {
      await this.#transport.stop()
      this.#transport = undefined
      throw error
    }
  }

  async #run(exchange: Exchange): Promise<void> {
    const { clock, onFailure } = this.#options
    const { signal } = this.#stopped
    const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
    while (!signal.aborted) {
      try {
        if (this.#transport === undefined) await this.#start(exchange)
        // `stop` may have come while it opened.
        if (signal.aborted) await this.#transport?.stop()
        await Promise.race([this.#transport?.lost ?? stopped, stopped])
        if (!signal.aborted) await this.#transport?.stop()
        this.#transport = undefined
      } catch (error) {
        onFailure?.(messageOf(error))
      }
      if (!signal.aborted) await clock.sleep(this.#backoff.nextMs(), signal)
    }
  }
}

export interface PersistentOptions {
  clock: Clock
  /** Of the jitter. */
  seed: string
  /** Called each time it is open. */
  onOpen?: () => void
  /** Called at each attempt that fails. */
  onFailure?: (reason: string) => void
  /** What cannot be had at the start is an error. */
  firstMustOpen?: boolean
  /** Bounds of the wait between two attempts. */
  retryMs?: { minMs: number; maxMs: number }
}
