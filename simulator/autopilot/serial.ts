import { type Clock, UserError } from '@kestrel/runtime'
import { SerialPort } from 'serialport'
import type { Exchange, Line, Transport } from './transport.js'

/** Frames are dropped while the device leaves this much unsent, bytes. */
const mostUnsent = 16 * 1024
const retryMs = 2000

/** A serial device, or one end of a pair of pseudo-terminals; opened again after it was lost. */
export class Serial implements Transport {
  readonly #options: { path: string; baudRate: number; clock: Clock }
  readonly #stopped = new AbortController()
  #port: SerialPort | undefined

  constructor(options: { path: string; baudRate: number; clock: Clock }) {
    this.#options = options
  }

  async start(exchange: Exchange): Promise<void> {
    try {
      await this.#open(exchange)
    } catch (cause) {
      const { path } = this.#options
      throw new UserError(
        `Cannot open the serial device ${path}: ${(cause as Error).message}. A pair of pseudo-terminals is made by: socat -d -d pty,raw,echo=0 pty,raw,echo=0`,
        { cause },
      )
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    const port = this.#port
    if (port?.isOpen) await new Promise<void>(resolve => port.close(() => resolve()))
  }

  async #open(exchange: Exchange): Promise<void> {
    const { path, baudRate } = this.#options
    const port = new SerialPort({ path, baudRate, autoOpen: false })
    await new Promise<void>((resolve, reject) => {
      port.open(error => (error === null || error === undefined ? resolve() : reject(error)))
    })
    this.#port = port
    const line: Line = {
      write(frame) {
        if (port.isOpen && port.writableLength < mostUnsent) port.write(frame)
      },
    }
    port.on('data', (bytes: Buffer) => exchange.received(line, bytes))
    // 'close' follows, or the next write fails again.
    port.on('error', () => {})
    port.on('close', () => {
      exchange.closed(line, `serial ${path}`)
      void this.#reopen(exchange)
    })
    exchange.opened(line, `serial ${path}`)
  }

  async #reopen(exchange: Exchange): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#options.clock.sleep(retryMs, signal)
      if (signal.aborted) return
      try {
        await this.#open(exchange)
        return
      } catch {
        // The device is still away.
      }
    }
  }
}
