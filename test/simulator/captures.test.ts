import { readFileSync } from 'node:fs'
import { common, minimal, standard } from 'mavlink-mappings'
import { MavLinkProtocolV2 } from 'node-mavlink'
import { test } from 'tap'
import { crc16, messages, type Values, valuesOf } from '../support/mavlink.js'
import { needs, sharedPath } from '../support/shared.js'
import { listenTo } from './ear.js'
import { plan } from './flights.js'

/** ArduPilot flying a VTOL plane, as a ground station logged it: microseconds and a MAVLink 1 frame, again and again. */
const vtol = sharedPath('data/flight-logs/vtol.tlog')
/** PX4, MAVLink 2 frames only. */
const px4 = sharedPath('data/flight-logs/mavlink-v2-3412-packets.bin')

/** Numbers of the standard's C library (its MAVLINK_MESSAGE_CRCS): CRC_EXTRA and payload without extensions. */
const published: Record<number, [crc: number, length: number]> = {
  0: [50, 9],
  1: [124, 31],
  2: [137, 12],
  4: [237, 14],
  20: [214, 20],
  21: [159, 2],
  22: [220, 25],
  23: [168, 23],
  24: [24, 30],
  30: [39, 28],
  32: [185, 28],
  33: [104, 28],
  39: [254, 37],
  40: [230, 4],
  41: [28, 4],
  42: [28, 2],
  43: [132, 2],
  44: [221, 4],
  45: [232, 2],
  46: [11, 2],
  47: [153, 3],
  51: [196, 4],
  66: [148, 6],
  73: [38, 37],
  74: [20, 20],
  75: [158, 35],
  76: [152, 33],
  77: [143, 3],
  109: [185, 9],
  111: [34, 16],
  147: [154, 36],
  148: [178, 60],
  242: [104, 52],
  244: [95, 6],
  245: [130, 2],
  251: [170, 18],
  253: [83, 51],
  259: [92, 235],
  390: [156, 238],
}

test('The parser of these tests computes the published CRC_EXTRA and lengths', async t => {
  t.equal(crc16(Buffer.from('123456789')), 0x6f91, 'check value of CRC-16/MCRF4XX')
  for (const [id, [crc, length]] of Object.entries(published)) {
    const { name, crcExtra, baseLength } = messages.get(Number(id))!
    t.same([crcExtra, baseLength], [crc, length], name)
  }
})

interface Heard {
  id: number
  length: number
  values: Values
}

/**
 * Frames of known messages in a capture, MAVLink 1 and 2, each with its checksum checked by the tests' own parser.
 *
 * @param stamp bytes of a time before each frame
 */
function readCapture(path: string, stamp: number): { heard: Heard[]; wrong: number } {
  const bytes = readFileSync(path)
  const heard: Heard[] = []
  let wrong = 0
  for (let at = stamp; at < bytes.length; ) {
    const isV2 = bytes[at] === 0xfd
    if (!isV2 && bytes[at] !== 0xfe) throw new Error(`${path} has no frame at byte ${at}`)
    const header = isV2 ? 10 : 6
    const length = bytes[at + 1]
    const id = isV2 ? bytes.readUIntLE(at + 7, 3) : bytes[at + 5]
    const end = at + header + length
    const definition = messages.get(id)
    if (definition !== undefined) {
      const crc = crc16(Buffer.of(definition.crcExtra), crc16(bytes.subarray(at + 1, end)))
      if (crc !== bytes.readUInt16LE(end)) wrong++
      const payload = Buffer.alloc(Math.max(definition.fullLength, length))
      bytes.copy(payload, 0, at + header, end)
      heard.push({ id, length, values: valuesOf(definition, payload) })
    }
    at = end + 2 + (isV2 && (bytes[at + 2] & 1) === 1 ? 13 : 0) + stamp
  }
  return { heard, wrong }
}

test(
  'Real vehicles and the simulator are read by one parser, field by field alike',
  needs(vtol, px4),
  async t => {
    const captures = [readCapture(vtol!, 8), readCapture(px4!, 0)]
    const real = captures.flatMap(({ heard }) => heard)
    t.same(
      captures.map(({ wrong }) => wrong),
      [0, 0],
      'no wrong checksum in any capture',
    )
    t.ok(real.length > 10_000, `${real.length} frames of real vehicles`)

    const flight = plan()
    const { autopilot, ears, flyTo } = await listenTo(flight)
    await flyTo(flight.durationS)
    await autopilot.stop()

    // All that a vehicle sends unasked has been seen from real ones.
    const sent = new Set(ears[0].heard.map(({ id }) => id))
    for (const id of sent) {
      const ours = ears[0].heard.filter(frame => frame.id === id)
      const theirs = real.filter(frame => frame.id === id)
      const { name, fields, fullLength } = messages.get(id)!
      t.ok(theirs.length > 0, `${name} is a message that real vehicles send`)
      t.ok(Math.max(...ours.map(frame => frame.length)) <= fullLength)
      for (const field of fields) {
        const values = (frames: Heard[]) => frames.map(frame => frame.values[field.name])
        t.equal(typeof values(ours)[0], typeof values(theirs)[0])
        if (field.type !== 'f32' || !sanities[name]?.includes(field.name)) continue
        // Quantities in the same unit are of the same order: no degrees for radians, no centimetres for metres.
        const most = (frames: Heard[]) => Math.max(...values(frames).map(value => Math.abs(Number(value))))
        const ratio = most(ours) / most(theirs)
        t.ok(ratio > 0.02 && ratio < 50, `${name}.${field.name}: ${most(ours)} beside ${most(theirs)}`)
      }
    }
    for (const [name, field] of constants) {
      const id = [...messages.values()].find(message => message.name === name)!.id
      const [ours, theirs] = [ears[0].heard, real].map(
        frames => new Set(frames.filter(frame => frame.id === id).map(({ values }) => String(values[field]))),
      )
      t.ok(
        [...ours].every(value => theirs.has(value)),
        `${name}.${field}: ${[...ours]} of ${[...theirs]}`,
      )
    }
  },
)

/** Floats that move in any flight. */
const sanities: Record<string, string[]> = {
  ATTITUDE: ['roll', 'pitch', 'yaw', 'rollspeed', 'pitchspeed', 'yawspeed'],
  VFR_HUD: ['airspeed', 'groundspeed', 'alt', 'climb'],
  LOCAL_POSITION_NED: ['x', 'y', 'z', 'vx', 'vy', 'vz'],
}

/** Fields whose every value of ours a real vehicle has sent too. */
const constants: [string, string][] = [
  ['HEARTBEAT', 'autopilot'],
  ['HEARTBEAT', 'mavlink_version'],
  ['HEARTBEAT', 'system_status'],
  ['GPS_RAW_INT', 'fix_type'],
  ['GPS_RAW_INT', 'yaw'],
  ['BATTERY_STATUS', 'id'],
  ['BATTERY_STATUS', 'battery_function'],
  ['BATTERY_STATUS', 'charge_state'],
  ['EXTENDED_SYS_STATE', 'vtol_state'],
]

test('node-mavlink reads the same values as the tests parser does', async t => {
  const flight = plan()
  const { autopilot, ears, flyTo } = await listenTo(flight)
  await flyTo(40)
  await autopilot.stop()
  const registry = { ...minimal.REGISTRY, ...standard.REGISTRY, ...common.REGISTRY } as Record<number, never>
  const protocol = new MavLinkProtocolV2()
  ears[0].heard.forEach(({ id, name, values }, i) => {
    const data = protocol.data(protocol.payload(ears[0].bytes[i]), registry[id]) as object
    const camel = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key.replace(/_(\w)/g, (_, c) => c.toUpperCase()), value]),
    )
    if (i % 20 === 0) t.match({ ...data }, camel, name)
  })
})
