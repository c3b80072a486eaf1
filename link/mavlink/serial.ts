import { UserError } from '@kestrel/runtime'
import type { SerialPort } from 'serialport'
import type { Exchange, Line, Transport } from './transport.js'

/** Frames are dropped while the device leaves this much unsent, bytes. */
const MOST_UNSENT = 16 * 1024

/** A serial device, or one end of a pair of pseudo-terminals; lost when it is unplugged. */
export class Serial implements Transport {
  readonly lost: Promise<void>
  readonly #options: { path: string; baudRate: number }
  #port: SerialPort | undefined
  #lose!: () => void

  constructor(options: { path: string; baudRate: number }) {
    this.#options = options
    this.lost = new Promise(resolve => {
      this.#lose = resolve
    })
  }

  async start(exchange: Exchange): Promise<void> {
    const { path, baudRate } = this.#options
    // Native code that only those need who have such a device.
    const { SerialPort } = await import('serialport')
    const port = new SerialPort({ path, baudRate, autoOpen: false })
    try {
      await new Promise<void>((resolve, reject) => {
        port.open(error => (error === null || error === undefined ? resolve() : reject(error)))
      })
    } catch (cause) {
      throw new UserError(`Cannot open the serial device ${path}: ${reasonOf(cause as Error)}`, { cause })
    }
    this.#port = port
    const line: Line = {
      write(frame) {
        if (port.isOpen && port.writableLength < MOST_UNSENT) port.write(frame)
      },
    }
    port.on('data', (bytes: Buffer) => exchange.received(line, bytes))
    // 'close' follows, or the next write fails again.
    port.on('error', () => {})
    port.on('close', () => {
      exchange.closed(line, `serial ${path}`)
      this.#lose()
    })
    exchange.opened(line, `serial ${path}`)
  }

  async stop(): Promise<void> {
    const port = this.#port
    if (port?.isOpen) await new Promise<void>(resolve => port.close(() => resolve()))
  }
}

/** What to do, where the reason alone does not say it. */
function reasonOf({ message }: Error): string {
  const reason = message.replace(/^Error: /, '')
  if (/permission denied/i.test(reason)) {
    return `${reason}. Its group may use it: sudo usermod -aG dialout $USER, then log in again`
  }
  if (/no such file/i.test(reason)) {
    return `${reason}. What there is: ls /dev/serial/by-id /dev/ttyAMA* /dev/ttyTHS*; two pseudo-terminals: socat -d -d pty,raw,echo=0 pty,raw,echo=0`
  }
  return /lock/i.test(reason) ? `${reason}. Another program has it open: fuser -v names it` : reason
}
