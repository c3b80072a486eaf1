import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { UserError } from '@kestrel/runtime'
import koffi from 'koffi'

/** Two serial devices joined by a cable, for a companion and an autopilot on one machine; `socat pty,raw pty,raw` without socat. */
export interface SerialCable {
  /** Paths of the devices. */
  ends: [string, string]
  /** Pulls the cable: both devices are gone. */
  close(): void
}

interface Terminal {
  path: string
  master: number
  /** Held open, since a pseudo-terminal that nobody has open cannot be read. */
  slave: number
}

/**
 * @param onBytes hears what is written at either end
 * @throws UserError where the system has no pseudo-terminals
 */
export function serialCable(onBytes: (end: 0 | 1, bytes: Uint8Array) => void = () => {}): SerialCable {
  const [one, other] = [openTerminal(), openTerminal()]
  const streams = [
    relay(one.master, other.master, bytes => onBytes(0, bytes)),
    relay(other.master, one.master, bytes => onBytes(1, bytes)),
  ]
  return {
    ends: [one.path, other.path],
    close() {
      for (const stream of streams) stream.destroy()
      for (const { slave } of [one, other]) closeSync(slave)
    },
  }
}

function openTerminal(): Terminal {
  const libc = koffi.load('libc.so.6')
  const call = (signature: string) => libc.func(signature)
  const master = call('int posix_openpt(int flags)')(constants.O_RDWR | constants.O_NOCTTY) as number
  const failed =
    master < 0 || call('int grantpt(int fd)')(master) !== 0 || call('int unlockpt(int fd)')(master) !== 0
  if (failed) throw new UserError('This system gives no pseudo-terminals: is /dev/pts mounted?')
  const path = call('const char *ptsname(int fd)')(master) as string
  const slave = openSync(path, constants.O_RDWR | constants.O_NOCTTY)
  // Bytes as they are, and nothing is echoed.
  spawnSync('stty', ['-F', path, 'raw', '-echo'])
  return { path, master, slave }
}

/** What the reader is too slow for is lost, as on a real line without flow control. */
function relay(from: number, to: number, onBytes: (bytes: Uint8Array) => void): ReadStream {
  const stream = new ReadStream(from)
  stream.on('data', (bytes: Buffer) => {
    onBytes(bytes)
    try {
      writeSync(to, bytes)
    } catch {
      // Full, or gone.
    }
  })
  stream.on('error', () => {})
  return stream
}
