import { type Kernel, type OfferedFormat, SystemError } from '@kestrel/agent'

/** A device of the fake kernel. The structures are written here once more, from the kernel's documentation, not from our code. */
export class FakeDevice {
  streaming = false
  opens = 0
  /** What the next calls answer in place of doing something, by request name. */
  readonly failures = new Map<string, string>()
  /** What S_FMT makes of a size. */
  adjust = (size: { width: number; height: number }) => size
  bytesPerLine = 0
  /** Set by S_FMT and S_PARM. */
  mode = { fourcc: '', width: 0, height: 0, fps: 0 }
  plugged = true
  caps = 0x0400_0001
  readonly queued = new Set<number>()
  readonly buffers: Uint8Array[] = []
  readonly filled: { index: number; bytes: number; flags: number; monotonicUs: bigint; sequence: number }[] =
    []
  sequence = 0
  mapped = 0
  #wake: (() => void)[] = []

  constructor(
    readonly identity: { card: string; bus: string; driver: string },
    readonly formats: OfferedFormat[],
  ) {}

  /** The driver fills a buffer; false where it has none, and the frame is lost. */
  frame(bytes: Uint8Array, options: { monotonicUs?: bigint; damaged?: boolean } = {}): boolean {
    const { monotonicUs = process.hrtime.bigint() / 1000n, damaged = false } = options
    const sequence = this.sequence++
    const [index] = this.queued
    if (index === undefined || !this.streaming) return false
    this.queued.delete(index)
    this.buffers[index].set(bytes)
    this.filled.push({
      index,
      bytes: bytes.length,
      flags: 0x2000 | (damaged ? 0x40 : 0),
      monotonicUs,
      sequence,
    })
    this.wake()
    return true
  }

  unplug(): void {
    this.plugged = false
    this.streaming = false
    this.wake()
  }

  wake(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  wait(timeoutMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

// The request codes by number, once more.
const names: Record<number, string> = {
  2154321408: 'QUERYCAP',
  3225441794: 'ENUM_FMT',
  3224131146: 'ENUM_FRAMESIZES',
  3224655435: 'ENUM_FRAMEINTERVALS',
  3234878981: 'S_FMT',
  3234616854: 'S_PARM',
  3222558216: 'REQBUFS',
  3227014665: 'QUERYBUF',
  3227014671: 'QBUF',
  3227014673: 'DQBUF',
  1074026002: 'STREAMON',
  1074026003: 'STREAMOFF',
}

/** A kernel with V4L2 devices by path; what else is opened is not there. */
export function fakeKernel(
  devices: Record<string, FakeDevice>,
): Kernel & { open: (path: string) => number; openFiles(): number } {
  const files = new Map<number, FakeDevice>()
  let next = 100
  const device = (fd: number) => {
    const found = files.get(fd)
    if (found === undefined) throw new Error(`a closed file is used (${fd})`)
    return found
  }
  return {
    openFiles: () => files.size,
    open(path) {
      const found = devices[path]
      if (found === undefined || !found.plugged) throw new SystemError('ENOENT', `open ${path}`)
      const failure = found.failures.get('open')
      if (failure !== undefined) throw new SystemError(failure, 'open')
      found.opens += 1
      files.set(++next, found)
      return next
    },
    close(fd) {
      device(fd).streaming = false
      files.delete(fd)
    },
    ioctl(fd, request, argument) {
      const found = device(fd)
      const name = names[request]
      if (name === undefined) throw new SystemError('ENOTTY', 'ioctl')
      // _IOC_SIZE: the structure's size is a part of the request.
      if (argument.length !== ((request >>> 16) & 0x3fff))
        throw new Error(`${name}: ${argument.length} bytes`)
      const failure = found.failures.get(name)
      if (failure !== undefined) throw new SystemError(failure, name)
      if (!found.plugged) throw new SystemError('ENODEV', name)
      handlers[name](found, argument)
    },
    map(fd, length, offset) {
      const found = device(fd)
      const index = offset / 0x10000
      if (length !== found.buffers[index].length) throw new SystemError('EINVAL', 'mmap')
      found.mapped += 1
      return { bytes: found.buffers[index], unmap: () => void (found.mapped -= 1) }
    },
    async waitForFrame(fd, timeoutMs) {
      const found = device(fd)
      if (found.filled.length === 0 && found.plugged) await found.wait(timeoutMs)
      return found.filled.length > 0 || !found.plugged
    },
  }
}

const code = (fourcc: string) => Buffer.from(fourcc.padEnd(4)).readUInt32LE()
const invalid = (): never => {
  throw new SystemError('EINVAL', 'ioctl')
}
const pick = <T>(list: T[], index: number): T => list[index] ?? invalid()
/** Intervals in units of 1/1001 s, so that 29.97 is exact enough. */
const interval = (at: number, fps: number, to: Buffer) => {
  to.writeUInt32LE(1001, at)
  to.writeUInt32LE(Math.round(fps * 1001), at + 4)
}

const handlers: Record<string, (device: FakeDevice, argument: Buffer) => void> = {
  QUERYCAP(device, to) {
    to.write(device.identity.driver, 0, 15)
    to.write(device.identity.card, 16, 31)
    to.write(device.identity.bus, 48, 31)
    to.writeUInt32LE(0x84a00001, 84)
    to.writeUInt32LE(device.caps, 88)
  },
  ENUM_FMT(device, to) {
    const { fourcc, name } = pick(device.formats, to.readUInt32LE(0))
    to.write(name, 12, 31)
    to.writeUInt32LE(code(fourcc), 44)
  },
  ENUM_FRAMESIZES(device, to) {
    const format = device.formats.find(({ fourcc }) => code(fourcc) === to.readUInt32LE(4)) ?? invalid()
    const { size } = pick(format.sizes, to.readUInt32LE(0))
    if ('max' in size) {
      to.writeUInt32LE(3, 8)
      const { min, max, step } = size
      const values = [min.width, max.width, step.width, min.height, max.height, step.height]
      for (const [i, value] of values.entries()) to.writeUInt32LE(value, 12 + 4 * i)
    } else {
      to.writeUInt32LE(1, 8)
      to.writeUInt32LE(size.width, 12)
      to.writeUInt32LE(size.height, 16)
    }
  },
  ENUM_FRAMEINTERVALS(device, to) {
    const format = device.formats.find(({ fourcc }) => code(fourcc) === to.readUInt32LE(4)) ?? invalid()
    const [width, height] = [to.readUInt32LE(8), to.readUInt32LE(12)]
    const offered = format.sizes.find(({ size }) => {
      const largest = 'max' in size ? size.max : size
      return largest.width === width && largest.height === height
    })
    const rate = pick((offered ?? invalid()).rates, to.readUInt32LE(0))
    if (typeof rate === 'number') {
      to.writeUInt32LE(1, 16)
      interval(20, rate, to)
    } else {
      to.writeUInt32LE(2, 16)
      interval(20, rate.max, to)
      interval(28, rate.min, to)
    }
  },
  S_FMT(device, to) {
    const fourcc = to.toString('latin1', 16, 20).trim()
    const { width, height } = device.adjust({ width: to.readUInt32LE(8), height: to.readUInt32LE(12) })
    device.mode = { ...device.mode, fourcc, width, height }
    to.writeUInt32LE(width, 8)
    to.writeUInt32LE(height, 12)
    to.writeUInt32LE(device.bytesPerLine, 24)
    to.writeUInt32LE(width * height * 4, 28)
  },
  S_PARM(device, to) {
    device.mode.fps = to.readUInt32LE(16) / to.readUInt32LE(12)
    to.writeUInt32LE(0x1000, 4)
  },
  REQBUFS(device, to) {
    const { width, height } = device.mode
    device.buffers.splice(0)
    for (let i = 0; i < to.readUInt32LE(0); i++) device.buffers.push(new Uint8Array(width * height * 4))
  },
  QUERYBUF(device, to) {
    const index = to.readUInt32LE(0)
    to.writeUInt32LE(index * 0x10000, 64)
    to.writeUInt32LE(device.buffers[index].length, 72)
  },
  QBUF(device, to) {
    const index = to.readUInt32LE(0)
    if (device.queued.has(index)) throw new Error(`buffer ${index} is queued twice`)
    device.queued.add(index)
  },
  DQBUF(device, to) {
    const frame = device.filled.shift()
    if (frame === undefined) throw new SystemError('EAGAIN', 'DQBUF')
    to.writeUInt32LE(frame.index, 0)
    to.writeUInt32LE(frame.bytes, 8)
    to.writeUInt32LE(frame.flags, 12)
    to.writeBigInt64LE(frame.monotonicUs / 1_000_000n, 24)
    to.writeBigInt64LE(frame.monotonicUs % 1_000_000n, 32)
    to.writeUInt32LE(frame.sequence, 56)
  },
  STREAMON(device) {
    device.streaming = true
    device.filled.splice(0)
    device.sequence = 0
  },
  STREAMOFF(device) {
    device.streaming = false
    device.queued.clear()
  },
}
