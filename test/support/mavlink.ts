/**
 * MAVLink 2 from the standard alone, sharing nothing with the library that the simulator packs with: messages transcribed in the
 * order of the standard's XML, CRC_EXTRA and field order computed from them, CRC-16/MCRF4XX bit by bit, every rule of a frame checked.
 * https://mavlink.io/en/guide/serialization.html
 */

/** `type name` in the order of the XML; extensions after `|`. */
const definitions: Record<number, [name: string, fields: string]> = {
  0: [
    'HEARTBEAT',
    'u8 type, u8 autopilot, u8 base_mode, u32 custom_mode, u8 system_status, u8 mavlink_version',
  ],
  1: [
    'SYS_STATUS',
    'u32 onboard_control_sensors_present, u32 onboard_control_sensors_enabled, u32 onboard_control_sensors_health, u16 load, u16 voltage_battery, i16 current_battery, i8 battery_remaining, u16 drop_rate_comm, u16 errors_comm, u16 errors_count1, u16 errors_count2, u16 errors_count3, u16 errors_count4 | u32 onboard_control_sensors_present_extended, u32 onboard_control_sensors_enabled_extended, u32 onboard_control_sensors_health_extended',
  ],
  2: ['SYSTEM_TIME', 'u64 time_unix_usec, u32 time_boot_ms'],
  4: ['PING', 'u64 time_usec, u32 seq, u8 target_system, u8 target_component'],
  11: ['SET_MODE', 'u8 target_system, u8 base_mode, u32 custom_mode'],
  20: ['PARAM_REQUEST_READ', 'u8 target_system, u8 target_component, char[16] param_id, i16 param_index'],
  21: ['PARAM_REQUEST_LIST', 'u8 target_system, u8 target_component'],
  22: ['PARAM_VALUE', 'char[16] param_id, f32 param_value, u8 param_type, u16 param_count, u16 param_index'],
  23: [
    'PARAM_SET',
    'u8 target_system, u8 target_component, char[16] param_id, f32 param_value, u8 param_type',
  ],
  24: [
    'GPS_RAW_INT',
    'u64 time_usec, u8 fix_type, i32 lat, i32 lon, i32 alt, u16 eph, u16 epv, u16 vel, u16 cog, u8 satellites_visible | i32 alt_ellipsoid, u32 h_acc, u32 v_acc, u32 vel_acc, u32 hdg_acc, u16 yaw',
  ],
  30: [
    'ATTITUDE',
    'u32 time_boot_ms, f32 roll, f32 pitch, f32 yaw, f32 rollspeed, f32 pitchspeed, f32 yawspeed',
  ],
  32: ['LOCAL_POSITION_NED', 'u32 time_boot_ms, f32 x, f32 y, f32 z, f32 vx, f32 vy, f32 vz'],
  33: [
    'GLOBAL_POSITION_INT',
    'u32 time_boot_ms, i32 lat, i32 lon, i32 alt, i32 relative_alt, i16 vx, i16 vy, i16 vz, u16 hdg',
  ],
  39: [
    'MISSION_ITEM',
    'u8 target_system, u8 target_component, u16 seq, u8 frame, u16 command, u8 current, u8 autocontinue, f32 param1, f32 param2, f32 param3, f32 param4, f32 x, f32 y, f32 z | u8 mission_type',
  ],
  40: ['MISSION_REQUEST', 'u8 target_system, u8 target_component, u16 seq | u8 mission_type'],
  41: ['MISSION_SET_CURRENT', 'u8 target_system, u8 target_component, u16 seq'],
  42: [
    'MISSION_CURRENT',
    'u16 seq | u16 total, u8 mission_state, u8 mission_mode, u32 mission_id, u32 fence_id, u32 rally_points_id',
  ],
  43: ['MISSION_REQUEST_LIST', 'u8 target_system, u8 target_component | u8 mission_type'],
  44: ['MISSION_COUNT', 'u8 target_system, u8 target_component, u16 count | u8 mission_type, u32 opaque_id'],
  45: ['MISSION_CLEAR_ALL', 'u8 target_system, u8 target_component | u8 mission_type'],
  46: ['MISSION_ITEM_REACHED', 'u16 seq'],
  47: ['MISSION_ACK', 'u8 target_system, u8 target_component, u8 type | u8 mission_type, u32 opaque_id'],
  51: ['MISSION_REQUEST_INT', 'u8 target_system, u8 target_component, u16 seq | u8 mission_type'],
  66: [
    'REQUEST_DATA_STREAM',
    'u8 target_system, u8 target_component, u8 req_stream_id, u16 req_message_rate, u8 start_stop',
  ],
  73: [
    'MISSION_ITEM_INT',
    'u8 target_system, u8 target_component, u16 seq, u8 frame, u16 command, u8 current, u8 autocontinue, f32 param1, f32 param2, f32 param3, f32 param4, i32 x, i32 y, f32 z | u8 mission_type',
  ],
  74: ['VFR_HUD', 'f32 airspeed, f32 groundspeed, i16 heading, u16 throttle, f32 alt, f32 climb'],
  75: [
    'COMMAND_INT',
    'u8 target_system, u8 target_component, u8 frame, u16 command, u8 current, u8 autocontinue, f32 param1, f32 param2, f32 param3, f32 param4, i32 x, i32 y, f32 z',
  ],
  76: [
    'COMMAND_LONG',
    'u8 target_system, u8 target_component, u16 command, u8 confirmation, f32 param1, f32 param2, f32 param3, f32 param4, f32 param5, f32 param6, f32 param7',
  ],
  77: [
    'COMMAND_ACK',
    'u16 command, u8 result | u8 progress, i32 result_param2, u8 target_system, u8 target_component',
  ],
  109: ['RADIO_STATUS', 'u8 rssi, u8 remrssi, u8 txbuf, u8 noise, u8 remnoise, u16 rxerrors, u16 fixed'],
  111: ['TIMESYNC', 'i64 tc1, i64 ts1 | u8 target_system, u8 target_component'],
  147: [
    'BATTERY_STATUS',
    'u8 id, u8 battery_function, u8 type, i16 temperature, u16[10] voltages, i16 current_battery, i32 current_consumed, i32 energy_consumed, i8 battery_remaining | i32 time_remaining, u8 charge_state, u16[4] voltages_ext, u8 mode, u32 fault_bitmask',
  ],
  148: [
    'AUTOPILOT_VERSION',
    'u64 capabilities, u32 flight_sw_version, u32 middleware_sw_version, u32 os_sw_version, u32 board_version, u8[8] flight_custom_version, u8[8] middleware_custom_version, u8[8] os_custom_version, u16 vendor_id, u16 product_id, u64 uid | u8[18] uid2',
  ],
  242: [
    'HOME_POSITION',
    'i32 latitude, i32 longitude, i32 altitude, f32 x, f32 y, f32 z, f32[4] q, f32 approach_x, f32 approach_y, f32 approach_z | u64 time_usec',
  ],
  244: ['MESSAGE_INTERVAL', 'u16 message_id, i32 interval_us'],
  245: ['EXTENDED_SYS_STATE', 'u8 vtol_state, u8 landed_state'],
  251: ['NAMED_VALUE_FLOAT', 'u32 time_boot_ms, char[10] name, f32 value'],
  253: ['STATUSTEXT', 'u8 severity, char[50] text | u16 id, u8 chunk_seq'],
  259: [
    'CAMERA_INFORMATION',
    'u32 time_boot_ms, u8[32] vendor_name, u8[32] model_name, u32 firmware_version, f32 focal_length, f32 sensor_size_h, f32 sensor_size_v, u16 resolution_h, u16 resolution_v, u8 lens_id, u32 flags, u16 cam_definition_version, char[140] cam_definition_uri | u8 gimbal_device_id, u8 camera_device_id',
  ],
  390: [
    'ONBOARD_COMPUTER_STATUS',
    'u64 time_usec, u32 uptime, u8 type, u8[8] cpu_cores, u8[10] cpu_combined, u8[4] gpu_cores, u8[10] gpu_combined, i8 temperature_board, i8[8] temperature_core, i16[4] fan_speed, u32 ram_usage, u32 ram_total, u32[4] storage_type, u32[4] storage_usage, u32[4] storage_total, u32[6] link_type, u32[6] link_tx_rate, u32[6] link_rx_rate, u32[6] link_tx_max, u32[6] link_rx_max | u16 status_flags',
  ],
}

const types = {
  u8: { name: 'uint8_t', size: 1 },
  i8: { name: 'int8_t', size: 1 },
  char: { name: 'char', size: 1 },
  u16: { name: 'uint16_t', size: 2 },
  i16: { name: 'int16_t', size: 2 },
  u32: { name: 'uint32_t', size: 4 },
  i32: { name: 'int32_t', size: 4 },
  f32: { name: 'float', size: 4 },
  u64: { name: 'uint64_t', size: 8 },
  i64: { name: 'int64_t', size: 8 },
} as const
type TypeName = keyof typeof types

interface Field {
  name: string
  type: TypeName
  /** Elements; 0 where the field is no array. */
  length: number
  offset: number
}

export interface Definition {
  id: number
  name: string
  fields: Field[]
  crcExtra: number
  /** Payload without and with extensions, before truncation. */
  baseLength: number
  fullLength: number
}

export const messages = new Map<number, Definition>(
  Object.entries(definitions).map(([id, [name, text]]) => [Number(id), define(Number(id), name, text)]),
)

function define(id: number, name: string, text: string): Definition {
  const [base, extensions = []] = text.split('|').map(part => part.split(',').map(parseField))
  // Big types first; within a size, and all extensions, in the order of the XML.
  const ordered = [...base].sort((one, other) => types[other.type].size - types[one.type].size)
  let crc = crc16(Buffer.from(`${name} `))
  for (const field of ordered) {
    crc = crc16(Buffer.from(`${types[field.type].name} ${field.name} `), crc)
    if (field.length > 0) crc = crc16(Buffer.of(field.length), crc)
  }
  let at = 0
  const place = (field: Field) => {
    field.offset = at
    at += types[field.type].size * Math.max(field.length, 1)
  }
  ordered.forEach(place)
  const baseLength = at
  extensions.forEach(place)
  const fields = [...ordered, ...extensions]
  return { id, name, fields, crcExtra: (crc & 0xff) ^ (crc >> 8), baseLength, fullLength: at }
}

function parseField(text: string): Field {
  const [, type, length, name] = /^\s*(\w+?)(?:\[(\d+)\])? (\w+)\s*$/.exec(text)!
  return { name, type: type as TypeName, length: Number(length ?? 0), offset: 0 }
}

/** CRC-16/MCRF4XX: reflected polynomial 0x1021, from 0xffff, no final inversion. */
export function crc16(bytes: Uint8Array, from = 0xffff): number {
  let crc = from
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1
  }
  return crc
}

export type Values = Record<string, number | bigint | string | number[]>

export interface Frame {
  id: number
  name: string
  sequence: number
  system: number
  component: number
  /** Of the payload as sent, truncated. */
  length: number
  values: Values
}

/** Reads one whole frame of a known message, unsigned. @throws Error naming the rule that is broken */
export function parseFrame(frame: Buffer): Frame {
  if (frame[0] !== 0xfd) throw new Error(`no MAVLink 2 frame: begins with ${frame[0]}`)
  const [, length, incompatible, compatible, sequence, system, component] = frame
  if (frame.length !== length + 12) throw new Error(`${frame.length} bytes for a payload of ${length}`)
  if (incompatible !== 0 || compatible !== 0) throw new Error('flags that nobody asked for')
  const id = frame.readUIntLE(7, 3)
  const definition = messages.get(id)
  if (definition === undefined) throw new Error(`unknown message ${id}`)
  const { name, crcExtra, fullLength } = definition
  const crc = crc16(Buffer.of(crcExtra), crc16(frame.subarray(1, 10 + length)))
  if (crc !== frame.readUInt16LE(10 + length)) throw new Error(`wrong checksum in ${name}`)
  if (length > fullLength) throw new Error(`${name} is too long`)
  if (length === 0) throw new Error(`${name} truncated beyond its first byte`)
  if (length > 1 && frame[9 + length] === 0) throw new Error(`${name} is not truncated`)
  const payload = Buffer.alloc(fullLength)
  frame.copy(payload, 0, 10, 10 + length)
  return { id, name, sequence, system, component, length, values: valuesOf(definition, payload) }
}

export function valuesOf(definition: Definition, payload: Buffer): Values {
  return Object.fromEntries(
    definition.fields.map(({ name, type, length, offset }) => {
      if (type === 'char') return [name, payload.toString('latin1', offset, offset + length).split('\0')[0]]
      if (length === 0) return [name, readOne(payload, type, offset)]
      return [
        name,
        Array.from({ length }, (_, i) => Number(readOne(payload, type, offset + i * types[type].size))),
      ]
    }),
  )
}

function readOne(payload: Buffer, type: TypeName, at: number): number | bigint {
  const view = new DataView(payload.buffer, payload.byteOffset + at)
  if (type === 'u64') return view.getBigUint64(0, true)
  if (type === 'i64') return view.getBigInt64(0, true)
  if (type === 'f32') return view.getFloat32(0, true)
  if (type === 'u32') return view.getUint32(0, true)
  if (type === 'i32') return view.getInt32(0, true)
  if (type === 'u16') return view.getUint16(0, true)
  if (type === 'i16') return view.getInt16(0, true)
  return type === 'i8' ? view.getInt8(0) : view.getUint8(0)
}

/** Cuts a stream into frames, which must follow each other without a gap; an unfinished one stays. */
export class FrameCutter {
  #pending = Buffer.alloc(0)

  push(bytes: Uint8Array): Buffer[] {
    this.#pending = Buffer.concat([this.#pending, bytes])
    const frames: Buffer[] = []
    while (this.#pending.length >= 12 && this.#pending.length >= this.#pending[1] + 12) {
      frames.push(this.#pending.subarray(0, this.#pending[1] + 12))
      this.#pending = this.#pending.subarray(this.#pending[1] + 12)
    }
    return frames
  }
}

export const groundStation = { system: 255, component: 190 }

/** A MAVLink 2 frame with these values, of a ground station unless said otherwise; what is left out is 0. */
export function buildFrame(name: string, values: Values, sequence = 0, from = groundStation): Buffer {
  const definition = [...messages.values()].find(message => message.name === name)!
  const payload = Buffer.alloc(definition.fullLength)
  for (const { name: field, type, offset, length } of definition.fields) {
    const value = values[field]
    if (value === undefined) continue
    if (type === 'char') payload.write(String(value), offset, length, 'latin1')
    else if (typeof value === 'bigint') payload.writeBigInt64LE(value, offset)
    else if (type === 'f32') payload.writeFloatLE(Number(value), offset)
    else if (type[0] === 'i') payload.writeIntLE(Number(value), offset, types[type].size)
    else payload.writeUIntLE(Number(value), offset, types[type].size)
  }
  return frameAround(definition, payload, sequence, from)
}

/** The frame around any payload of a message, truncated. */
export function frameAround(
  definition: Definition,
  payload: Buffer,
  sequence = 0,
  from = groundStation,
): Buffer {
  let length = payload.length
  while (length > 1 && payload[length - 1] === 0) length--
  const frame = Buffer.alloc(length + 12)
  frame.set([0xfd, length, 0, 0, sequence & 0xff, from.system, from.component])
  frame.writeUIntLE(definition.id, 7, 3)
  payload.copy(frame, 10, 0, length)
  const crc = crc16(Buffer.of(definition.crcExtra), crc16(frame.subarray(1, 10 + length)))
  frame.writeUInt16LE(crc, 10 + length)
  return frame
}
