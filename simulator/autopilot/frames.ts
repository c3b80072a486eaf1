import { ardupilotmega, common, type MavLinkData, minimal, standard, x25crc } from 'mavlink-mappings'
import { MavLinkProtocolV1, MavLinkProtocolV2 } from 'node-mavlink'

type MessageClass<T extends MavLinkData = MavLinkData> = {
  new (): T
  readonly MSG_ID: number
  readonly MAGIC_NUMBER: number
  readonly PAYLOAD_LENGTH: number
}

const registry = new Map<number, MessageClass>(
  [minimal.REGISTRY, standard.REGISTRY, common.REGISTRY, ardupilotmega.REGISTRY].flatMap(entries =>
    Object.entries(entries).map(([id, type]) => [Number(id), type as unknown as MessageClass] as const),
  ),
)

/** Where a message comes from. */
export interface Sender {
  system: number
  component: number
}

export const autopilotAddress: Sender = { system: 1, component: 1 }

/**
 * A message with every field given: node-mavlink's own defaults of enumerations are names, not numbers, and would be written as 0.
 */
export function message<T extends MavLinkData>(type: new () => T, fields: { [K in keyof T]: T[K] }): T {
  return Object.assign(new type(), fields)
}

const v2 = new MavLinkProtocolV2(autopilotAddress.system, autopilotAddress.component)
const v1 = new MavLinkProtocolV1()

/** One MAVLink 2 frame of the autopilot; `sequence` is the connection's own, 0..255. */
export function encode(data: MavLinkData, sequence: number): Buffer {
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
}

const longestFrame = 280

/**
 * Cuts a stream of bytes into messages. Rubbish between frames, broken checksums and unknown messages are passed over; no more than
 * one frame is ever kept. Understands MAVLink 1 as well: ground stations begin with it until they have heard a MAVLink 2 frame.
 */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0)

  read(chunk: Uint8Array): Received[] {
    const received: Received[] = []
    const bytes = Buffer.concat([this.#pending, chunk])
    let at = 0
    for (;;) {
      while (at < bytes.length && bytes[at] !== 0xfd && bytes[at] !== 0xfe) at++
      const length = frameLength(bytes, at)
      if (length === undefined || at + length > bytes.length) break
      const message = decode(bytes.subarray(at, at + length))
      if (message === undefined) at++
      else {
        received.push(message)
        at += length
      }
    }
    // What is left is the beginning of one frame, which never has more than 280 bytes.
    this.#pending = Buffer.from(bytes.subarray(Math.max(at, bytes.length - longestFrame)))
    return received
  }
}

/** Length of the frame that begins here, if its header is there. */
function frameLength(bytes: Buffer, at: number): number | undefined {
  if (at + 3 > bytes.length) return undefined
  if (bytes[at] === 0xfe) return bytes[at + 1] + 8
  const signed = (bytes[at + 2] & 1) !== 0
  return bytes[at + 1] + 12 + (signed ? 13 : 0)
}

/** Undefined where this is no frame after all. A signature is not checked: the simulator has no key, like a vehicle without one. */
function decode(frame: Buffer): Received | undefined {
  const isV2 = frame[0] === 0xfd
  // Any other incompatibility flag than the signature's asks to be passed over (MAVLink 2, "incompat_flags").
  if (isV2 && (frame[2] & ~1) !== 0) return undefined
  const type = registry.get(isV2 ? frame.readUIntLE(7, 3) : frame[5])
  if (type === undefined) return undefined
  const end = (isV2 ? 10 : 6) + frame[1]
  const crc = x25crc(frame.subarray(0, end), 1, 0, type.MAGIC_NUMBER)
  if (crc !== frame.readUInt16LE(end)) return undefined
  const from = isV2 ? { system: frame[5], component: frame[6] } : { system: frame[3], component: frame[4] }
  const protocol = isV2 ? v2 : v1
  return { from, data: protocol.data(protocol.payload(frame), type as never) }
}
