import { UserError } from '@kestrel/runtime'
import { common, MavLinkPacketField } from 'mavlink-mappings'

/**
 * How a value stands in the float of PARAM_VALUE and PARAM_SET (MAVLink, "Parameter Protocol", "Parameter Encoding"): cast to a float, as ArduPilot
 * does, or byte by byte, as PX4 does.
 */
export type Encoding = 'c-cast' | 'bytewise'

interface ParamType {
  name: string
  /** Absent for the float. */
  range?: [min: number, max: number]
}

/** MAV_PARAM_TYPE, without the 64-bit ones, which these messages cannot carry. */
export const paramTypes: Readonly<Record<number, ParamType>> = {
  1: { name: 'uint8', range: [0, 255] },
  2: { name: 'int8', range: [-128, 127] },
  3: { name: 'uint16', range: [0, 65_535] },
  4: { name: 'int16', range: [-32_768, 32_767] },
  5: { name: 'uint32', range: [0, 2 ** 32 - 1] },
  6: { name: 'int32', range: [-(2 ** 31), 2 ** 31 - 1] },
  9: { name: 'float' },
}

/** A name as long as param_id carries. */
export const NAME_BYTES = 16

/** Whether a parameter of this type can have this value. */
export function fits(value: number, type: number): boolean {
  const known = paramTypes[type]
  if (known === undefined) return false
  if (known.range === undefined) return Number.isFinite(Math.fround(value))
  return Number.isInteger(value) && value >= known.range[0] && value <= known.range[1]
}

/** Floats agree to the six digits that ground stations write into files; integers exactly, as far as the float that brings them. */
export function sameValue(one: number, other: number, type: number, encoding: Encoding): boolean {
  if (type === 9) return Math.abs(one - other) <= 1e-6 * Math.max(Math.abs(one), Math.abs(other), 1e-30)
  return encoding === 'c-cast' ? Math.fround(one) === Math.fround(other) : one === other
}

/** @param bytes the four bytes of param_value, least first */
export function decodeValue(bytes: Buffer, type: number, encoding: Encoding): number {
  if (encoding === 'c-cast') return bytes.readFloatLE(0)
  switch (type) {
    case 1:
      return bytes.readUInt8(0)
    case 2:
      return bytes.readInt8(0)
    case 3:
      return bytes.readUInt16LE(0)
    case 4:
      return bytes.readInt16LE(0)
    case 5:
      return bytes.readUInt32LE(0)
    case 6:
      return bytes.readInt32LE(0)
    default:
      return bytes.readFloatLE(0)
  }
}

/** The four bytes of param_value as one unsigned integer. @throws UserError where the type cannot have this value */
export function encodeValue(value: number, type: number, encoding: Encoding): number {
  if (!fits(value, type)) {
    throw new UserError(`${value} is no value of type ${paramTypes[type]?.name ?? type}`)
  }
  const bytes = Buffer.alloc(4)
  if (encoding === 'c-cast' || type === 9) bytes.writeFloatLE(value, 0)
  // Two's complement: the low bytes of a smaller type are those of the int32, as in the union that the standard describes.
  else if (value < 0) bytes.writeInt32LE(value, 0)
  else bytes.writeUInt32LE(value, 0)
  return bytes.readUInt32LE(0)
}

/**
 * PARAM_SET (#23) whose value is given as bytes: an integer's bytes may be those of a float that is no number, and JavaScript is free to
 * change which one.
 */
export class ParamSetBytes extends common.ParamSet {
  static override readonly FIELDS = common.ParamSet.FIELDS.map(field =>
    field.name === 'paramValue'
      ? new MavLinkPacketField(field.source, field.name, field.offset, false, field.size, 'uint32_t', '')
      : field,
  )
}
