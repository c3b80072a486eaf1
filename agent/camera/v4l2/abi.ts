/**
 * The parts of <linux/videodev2.h> that a single-planar capture device needs: request codes, flags, and where the fields of the
 * structures lie. They are the same on all 64-bit Linux platforms.
 */

export const VIDIOC = {
  QUERYCAP: 0x80685600,
  ENUM_FMT: 0xc0405602,
  S_FMT: 0xc0d05605,
  REQBUFS: 0xc0145608,
  QUERYBUF: 0xc0585609,
  QBUF: 0xc058560f,
  DQBUF: 0xc0585611,
  STREAMON: 0x40045612,
  STREAMOFF: 0x40045613,
  S_PARM: 0xc0cc5616,
  ENUM_FRAMESIZES: 0xc02c564a,
  ENUM_FRAMEINTERVALS: 0xc034564b,
} as const

const CAP_VIDEO_CAPTURE = 0x1
const CAP_STREAMING = 0x0400_0000
const CAP_DEVICE_CAPS = 0x8000_0000
const CAP_TIMEPERFRAME = 0x1000

const BUF_TYPE_VIDEO_CAPTURE = 1
const MEMORY_MMAP = 1
const FIELD_NONE = 1
const BUF_FLAG_ERROR = 0x40
const BUF_FLAG_TIMESTAMP_MASK = 0xe000
const BUF_FLAG_TIMESTAMP_MONOTONIC = 0x2000
/** v4l2_frmsizetypes, v4l2_frmivaltypes */
const TYPE_DISCRETE = 1

/** Four characters as V4L2 writes them into 32 bits, and back. */
export const fourcc = {
  encode: (name: string) => Buffer.from(name.padEnd(4), 'latin1').readUInt32LE(0),
  decode: (code: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(code >>> 0)
    return bytes.toString('latin1').trimEnd()
  },
}

function text(buffer: Buffer, at: number, length: number): string {
  const bytes = buffer.subarray(at, at + length)
  const end = bytes.indexOf(0)
  return bytes
    .subarray(0, end < 0 ? length : end)
    .toString('utf8')
    .trim()
}

/** struct v4l2_capability */
export const capability = {
  alloc: () => Buffer.alloc(104),
  read(buffer: Buffer) {
    const all = buffer.readUInt32LE(84)
    // A device with several nodes says in device_caps what this node can do.
    const caps = (all & CAP_DEVICE_CAPS) !== 0 ? buffer.readUInt32LE(88) : all
    return {
      driver: text(buffer, 0, 16),
      card: text(buffer, 16, 32),
      bus: text(buffer, 48, 32),
      captures: (caps & CAP_VIDEO_CAPTURE) !== 0,
      streams: (caps & CAP_STREAMING) !== 0,
    }
  },
}

/** struct v4l2_fmtdesc */
export const formatDescription = {
  alloc(index: number) {
    const buffer = Buffer.alloc(64)
    buffer.writeUInt32LE(index, 0)
    buffer.writeUInt32LE(BUF_TYPE_VIDEO_CAPTURE, 4)
    return buffer
  },
  read: (buffer: Buffer) => ({ name: text(buffer, 12, 32), fourcc: fourcc.decode(buffer.readUInt32LE(44)) }),
}

/** A range of sizes, in steps. */
export interface SizeRange {
  min: { width: number; height: number }
  max: { width: number; height: number }
  step: { width: number; height: number }
}

/** struct v4l2_frmsizeenum */
export const frameSize = {
  alloc(index: number, format: string) {
    const buffer = Buffer.alloc(44)
    buffer.writeUInt32LE(index, 0)
    buffer.writeUInt32LE(fourcc.encode(format), 4)
    return buffer
  },
  read(buffer: Buffer): { width: number; height: number } | SizeRange {
    const [a, b, c, d, e, f] = [12, 16, 20, 24, 28, 32].map(at => buffer.readUInt32LE(at))
    if (buffer.readUInt32LE(8) === TYPE_DISCRETE) return { width: a, height: b }
    return {
      min: { width: a, height: d },
      max: { width: b, height: e },
      step: { width: Math.max(1, c), height: Math.max(1, f) },
    }
  },
}

/** struct v4l2_frmivalenum, as frames a second. */
export const frameInterval = {
  alloc(index: number, format: string, width: number, height: number) {
    const buffer = Buffer.alloc(52)
    buffer.writeUInt32LE(index, 0)
    buffer.writeUInt32LE(fourcc.encode(format), 4)
    buffer.writeUInt32LE(width, 8)
    buffer.writeUInt32LE(height, 12)
    return buffer
  },
  /** One rate, or the least and the greatest of a range (the longest interval is the lowest rate). */
  read(buffer: Buffer): number | { min: number; max: number } {
    const rate = (at: number) => buffer.readUInt32LE(at + 4) / Math.max(1, buffer.readUInt32LE(at))
    if (buffer.readUInt32LE(16) === TYPE_DISCRETE) return rate(20)
    return { min: rate(28), max: rate(20) }
  },
}

/** struct v4l2_format with a struct v4l2_pix_format inside */
export const pixelFormat = {
  alloc(format: string, width: number, height: number) {
    const buffer = Buffer.alloc(208)
    buffer.writeUInt32LE(BUF_TYPE_VIDEO_CAPTURE, 0)
    buffer.writeUInt32LE(width, 8)
    buffer.writeUInt32LE(height, 12)
    buffer.writeUInt32LE(fourcc.encode(format), 16)
    buffer.writeUInt32LE(FIELD_NONE, 20)
    return buffer
  },
  read: (buffer: Buffer) => ({
    width: buffer.readUInt32LE(8),
    height: buffer.readUInt32LE(12),
    fourcc: fourcc.decode(buffer.readUInt32LE(16)),
    /** Bytes from one line to the next (of the first plane). */
    bytesPerLine: buffer.readUInt32LE(24),
  }),
}

/** struct v4l2_streamparm: the rate. */
export const streamParameters = {
  alloc(fps: number) {
    const buffer = Buffer.alloc(204)
    buffer.writeUInt32LE(BUF_TYPE_VIDEO_CAPTURE, 0)
    buffer.writeUInt32LE(1000, 12)
    buffer.writeUInt32LE(Math.round(fps * 1000), 16)
    return buffer
  },
  /** Frames a second; undefined where the driver cannot say. */
  read(buffer: Buffer): number | undefined {
    if ((buffer.readUInt32LE(4) & CAP_TIMEPERFRAME) === 0) return undefined
    const [numerator, denominator] = [buffer.readUInt32LE(12), buffer.readUInt32LE(16)]
    return numerator > 0 && denominator > 0 ? denominator / numerator : undefined
  },
}

/** struct v4l2_requestbuffers */
export const bufferRequest = {
  alloc(count: number) {
    const buffer = Buffer.alloc(20)
    buffer.writeUInt32LE(count, 0)
    buffer.writeUInt32LE(BUF_TYPE_VIDEO_CAPTURE, 4)
    buffer.writeUInt32LE(MEMORY_MMAP, 8)
    return buffer
  },
  read: (buffer: Buffer) => ({ count: buffer.readUInt32LE(0) }),
}

/** struct v4l2_buffer */
export const frameBuffer = {
  alloc(index = 0) {
    const buffer = Buffer.alloc(88)
    buffer.writeUInt32LE(index, 0)
    buffer.writeUInt32LE(BUF_TYPE_VIDEO_CAPTURE, 4)
    buffer.writeUInt32LE(MEMORY_MMAP, 60)
    return buffer
  },
  read(buffer: Buffer) {
    const flags = buffer.readUInt32LE(12)
    return {
      index: buffer.readUInt32LE(0),
      bytes: buffer.readUInt32LE(8),
      damaged: (flags & BUF_FLAG_ERROR) !== 0,
      /** When it was taken, CLOCK_MONOTONIC in ms; undefined where the driver keeps another time. */
      monotonicMs:
        (flags & BUF_FLAG_TIMESTAMP_MASK) === BUF_FLAG_TIMESTAMP_MONOTONIC
          ? 1000 * Number(buffer.readBigInt64LE(24)) + Number(buffer.readBigInt64LE(32)) / 1000
          : undefined,
      /** Counts all frames of the sensor, lost ones included. */
      sequence: buffer.readUInt32LE(56),
      offset: buffer.readUInt32LE(64),
      length: buffer.readUInt32LE(72),
    }
  },
}

/** The argument of STREAMON and STREAMOFF: int. */
export function streamType(): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(BUF_TYPE_VIDEO_CAPTURE)
  return buffer
}
