import type { Colour, LabelMap } from '@kestrel/models'

/*
 * What other programs on board are sent; docs/label-output.md describes it byte by byte. All numbers are little-endian.
 */

/** "KLBL". */
const MAGIC = 0x4c424c4b
const VERSION = 1
const HELLO = 1
const LABELS = 2
/** Bytes before the text of a hello. */
export const HELLO_HEADER_BYTES = 12
/** Bytes before the runs of a labels message. */
export const LABELS_HEADER_BYTES = 52
/** On a stream each message follows its own length, u32. */
export const PREFIX_BYTES = 4

/** What a reader needs to know once. */
export interface Hello {
  drone: string
  software: string
  /** File name of the student. */
  student: string
  width: number
  height: number
  classes: string[]
  palette: Colour[]
}

/** One labelled frame. */
export interface Labels {
  /** Counts labelled frames: a gap tells a reader how many it was not sent. */
  sequence: number
  frameId: number
  /** Unix time. */
  captureMs: number
  modelVersion: number
  /** From capture to labels. */
  latencyMs: number
  classes: number
  map: LabelMap
}

/** A hello with its length before it. */
export function encodeHello(hello: Hello): Uint8Array {
  const text = Buffer.from(JSON.stringify(hello))
  const message = Buffer.alloc(PREFIX_BYTES + HELLO_HEADER_BYTES + text.length)
  writeStart(message, HELLO, HELLO_HEADER_BYTES)
  message.writeUInt32LE(text.length, PREFIX_BYTES + 8)
  text.copy(message, PREFIX_BYTES + HELLO_HEADER_BYTES)
  return message
}

/** Encodes one frame after the other of the same size; keeps its scratch memory. */
export class LabelEncoder {
  #scratch = Buffer.alloc(0)

  /** A labels message with its length before it, in memory of its own. */
  encode(labels: Labels): Uint8Array {
    const { width, height, data } = labels.map
    const start = PREFIX_BYTES + LABELS_HEADER_BYTES
    // A run takes two bytes or covers 128 pixels and more: never above two bytes a pixel.
    if (this.#scratch.length < start + 2 * data.length) this.#scratch = Buffer.alloc(start + 2 * data.length)
    const message = this.#scratch
    const { end, runs } = writeRuns(data, message, start)
    message.writeBigUInt64LE(BigInt(labels.frameId), PREFIX_BYTES + 8)
    message.writeBigInt64LE(BigInt(Math.round(labels.captureMs * 1000)), PREFIX_BYTES + 16)
    message.writeUInt32LE(labels.sequence >>> 0, PREFIX_BYTES + 24)
    message.writeUInt32LE(labels.modelVersion, PREFIX_BYTES + 28)
    message.writeUInt32LE(microseconds(labels.latencyMs), PREFIX_BYTES + 32)
    message.writeUInt16LE(width, PREFIX_BYTES + 36)
    message.writeUInt16LE(height, PREFIX_BYTES + 38)
    message.writeUInt16LE(labels.classes, PREFIX_BYTES + 40)
    message.writeUInt16LE(0, PREFIX_BYTES + 42)
    message.writeUInt32LE(runs, PREFIX_BYTES + 44)
    message.writeUInt32LE(end - start, PREFIX_BYTES + 48)
    const whole = message.subarray(0, end)
    writeStart(whole, LABELS, LABELS_HEADER_BYTES)
    return Buffer.from(whole)
  }
}

function writeStart(message: Buffer, type: number, headerBytes: number): void {
  message.writeUInt32LE(message.length - PREFIX_BYTES, 0)
  message.writeUInt32LE(MAGIC, PREFIX_BYTES)
  message.writeUInt8(VERSION, PREFIX_BYTES + 4)
  message.writeUInt8(type, PREFIX_BYTES + 5)
  message.writeUInt16LE(headerBytes, PREFIX_BYTES + 6)
}

/** A clock that was set back may make a latency that is none. */
function microseconds(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.round(ms * 1000))) || 0
}

/** Runs from the top left, row after row, on over the ends of rows: label u8, length LEB128 (seven bits a byte, lowest first). */
function writeRuns(data: Uint8Array, out: Buffer, start: number): { end: number; runs: number } {
  const count = data.length
  let at = start
  let runs = 0
  for (let from = 0; from < count; ) {
    const label = data[from]
    let to = from + 1
    while (to < count && data[to] === label) to++
    out[at++] = label
    let length = to - from
    for (; length > 127; length >>>= 7) out[at++] = (length & 127) | 128
    out[at++] = length
    runs++
    from = to
  }
  return { end: at, runs }
}
