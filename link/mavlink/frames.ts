import { ardupilotmega, common, type MavLinkData, minimal, standard, x25crc } from 'mavlink-mappings'
import { MavLinkProtocolV1, MavLinkProtocolV2 } from 'node-mavlink'
import { OnboardComputerStatus } from './onboard-computer-status.js'

type MessageClass<T extends MavLinkData = MavLinkData> = {
  new (): T
  readonly MSG_ID: number
  readonly MAGIC_NUMBER: number
  readonly PAYLOAD_LENGTH: number
}

const registry = new Map<number, MessageClass>(
  [minimal.REGISTRY, standard.REGISTRY, common.REGISTRY, ardupilotmega.REGISTRY]
    .flatMap(entries => Object.values(entries))
    .concat(OnboardComputerStatus as never)
    .map(type => [(type as unknown as MessageClass).MSG_ID, type as unknown as MessageClass]),
)

/** Where a message comes from. */
export interface Sender {
  system: number
  component: number
}

/**
 * A message with every field given: node-mavlink's own defaults of enumerations are names, not numbers, and would be written as 0.
 */
export function message<T extends MavLinkData>(type: new () => T, fields: { [K in keyof T]: T[K] }): T {
  return Object.assign(new type(), fields)
}

/** Number of the message. */
export function messageId(data: MavLinkData): number {
  return (data.constructor as unknown as MessageClass).MSG_ID
}

/** Incompatibility flag of a frame that a signature follows (MAVLink 2, MAVLINK_IFLAG_SIGNED). */
export const SIGNED_FLAG = 1

/** Bytes of a signature: link id, timestamp, 48 bits of a hash. */
export const SIGNATURE_BYTES = 13

/**
 * One MAVLink 2 frame; `sequence` is the connection's own, 0..255.
 *
 * @param options.signed says that a signature will follow, which is for the caller to add (`Signing.sign`)
 */
export function encode(
  data: MavLinkData,
  sequence: number,
  from: Sender,
  { signed = false }: { signed?: boolean } = {},
): Buffer {
  const v2 = new MavLinkProtocolV2(from.system, from.component, signed ? SIGNED_FLAG : 0)
  const frame = v2.serialize(data, sequence)
  if (frame[1] > 0) return frame
  // Truncation leaves at least one byte of a payload (MAVLink 2, "empty-byte payload truncation"); the library leaves none.
  const whole = Buffer.alloc(13)
  frame.copy(whole, 0, 0, 10)
  whole[1] = 1
  whole.writeUInt16LE(x25crc(whole, 1, 2, (data.constructor as unknown as MessageClass).MAGIC_NUMBER), 11)
  return whole
}

export interface Received {
  from: Sender
  data: MavLinkData
  /** As it came, with the zeros that were cut off: a float that carries an integer's bytes (PX4's parameters) survives only here. */
  payload: Buffer
  /** The whole frame. */
  frame: Buffer
}

/** The longest frame: header, payload, checksum and signature. */
const LONGEST_FRAME = 280

const v1 = new MavLinkProtocolV1()
const v2 = new MavLinkProtocolV2()

/**
 * Cuts a stream of bytes into messages. Rubbish between frames, broken checksums and unknown messages are passed over; no more than
 * one frame is ever kept. Understands MAVLink 1 as well: ground stations begin with it until they have heard a MAVLink 2 frame.
 */
export class FrameReader {
  readonly #accept: (frame: Buffer, id: number) => boolean
  #pending: Buffer = Buffer.alloc(0)
  #broken = 0

  /** @param accept is asked about each whole frame of a known message before it is read, such as for its signature */
  constructor(accept: (frame: Buffer, id: number) => boolean = () => true) {
    this.#accept = accept
  }

  /** Frames of known messages whose checksum was wrong; rubbish that looks like one counts too. */
  get broken(): number {
    return this.#broken
  }

  read(chunk: Uint8Array): Received[] {
    const received: Received[] = []
    const bytes = Buffer.concat([this.#pending, chunk])
    let at = 0
    for (;;) {
      while (at < bytes.length && bytes[at] !== 0xfd && bytes[at] !== 0xfe) at++
      const length = frameLength(bytes, at)
      if (length === undefined || at + length > bytes.length) break
      const frame = bytes.subarray(at, at + length)
      const type = this.#typeOf(frame)
      // What is not believed may be rubbish whose checksum happens to fit, or a frame that was cut off in its signature: either way it
      // may have the beginning of the next one in it.
      if (type === undefined || !this.#accept(frame, type.MSG_ID)) at++
      else {
        received.push(decode(frame, type))
        at += length
      }
    }
    // What is left is the beginning of one frame.
    this.#pending = Buffer.from(bytes.subarray(Math.max(at, bytes.length - LONGEST_FRAME)))
    return received
  }

  /** Undefined where this is no frame after all. */
  #typeOf(frame: Buffer): MessageClass | undefined {
    const isV2 = frame[0] === 0xfd
    // Any other incompatibility flag than the signature's asks to be passed over (MAVLink 2, "incompat_flags").
    if (isV2 && (frame[2] & ~SIGNED_FLAG) !== 0) return undefined
    const type = registry.get(isV2 ? frame.readUIntLE(7, 3) : frame[5])
    if (type === undefined) return undefined
    const end = (isV2 ? 10 : 6) + frame[1]
    if (x25crc(frame.subarray(0, end), 1, 0, type.MAGIC_NUMBER) === frame.readUInt16LE(end)) return type
    this.#broken += 1
    return undefined
  }
}

/** Length of the frame that begins here, if its header is there. */
function frameLength(bytes: Buffer, at: number): number | undefined {
  if (at + 3 > bytes.length) return undefined
  if (bytes[at] === 0xfe) return bytes[at + 1] + 8
  return bytes[at + 1] + 12 + ((bytes[at + 2] & SIGNED_FLAG) !== 0 ? SIGNATURE_BYTES : 0)
}

/** Of a whole frame. */
export function isSigned(frame: Buffer): boolean {
  return frame[0] === 0xfd && (frame[2] & SIGNED_FLAG) !== 0
}

/** Whole frames only: sender and fields. */
function decode(frame: Buffer, type: MessageClass): Received {
  const protocol = frame[0] === 0xfd ? v2 : v1
  const payload = protocol.payload(frame)
  return { from: senderOf(frame), data: protocol.data(payload, type as never), payload, frame }
}

export function senderOf(frame: Buffer): Sender {
  return frame[0] === 0xfd
    ? { system: frame[5], component: frame[6] }
    : { system: frame[3], component: frame[4] }
}
