import { type FieldValue, LogLevel, MessageType, type ParsedMessage, ULog } from '@foxglove/ulog'
import { FileReader } from '@foxglove/ulog/node.js'
import { messageOf, UserError } from '@kestrel/runtime'
import type { Severity } from '../api.js'
import type { Stretch } from '../recording.js'
import { type StandardSeries, seriesInfo } from '../standard-series.js'
import { anglesOf, compass } from './attitude.js'
import type { Gatherer, Sink } from './gather.js'

/** Longer arrays of a message (matrices, polynomials) are no series to plot. */
const MAX_ARRAY = 8

/** PX4, vehicle_status.msg: nav_state. */
const navStates =
  'MANUAL,ALTCTL,POSCTL,AUTO.MISSION,AUTO.LOITER,AUTO.RTL,POSITION_SLOW,,,,ACRO,,DESCEND,TERMINATION,OFFBOARD,STABILIZED,,AUTO.TAKEOFF,AUTO.LAND,AUTO.FOLLOW,AUTO.PRECLAND,ORBIT,AUTO.VTOL_TAKEOFF'.split(
    ',',
  )
/** vehicle_status.msg: ARMING_STATE_ARMED. */
const ARMED = 2

/** What a PX4 log says about itself. */
export interface UlogFacts {
  software: string
  hardware: string
  /** Unix ms of the autopilot's time 0, where a receiver or the system told the time. */
  epochMs: number | undefined
}

/**
 * Reads a PX4 log (.ulg) into a gatherer: the standard series, every other field that is a number, track, modes, arming, messages, parameters.
 *
 * @param options.stretch in the times that this reader gives; the whole log by default
 * @param options.facts from a reading before, which saves looking for them again
 * @throws UserError where the file is no such log
 */
export async function readUlog(
  file: string,
  into: Gatherer,
  options: { stretch?: Stretch; facts?: UlogFacts } = {},
): Promise<UlogFacts> {
  const reader = new FileReader(file)
  const ulog = new ULog(reader)
  try {
    try {
      await ulog.open()
    } catch (cause) {
      throw new UserError(
        `${file} is no PX4 log, or cut off in its header (${messageOf(cause)}): copy it from the SD card again`,
        { cause },
      )
    }
    const facts = options.facts ?? (await factsOf(ulog))
    for (const [name, { value }] of ulog.header?.parameters ?? []) into.parameter(name, value)
    await readMessages(ulog, into, facts.epochMs ?? 0, options.stretch)
    return facts
  } finally {
    await reader.close()
  }
}

async function factsOf(ulog: ULog): Promise<UlogFacts> {
  const information = ulog.header?.information
  const text = (key: string) => String(information?.get(key) ?? '')
  return {
    software: ['PX4', release(information?.get('ver_sw_release')) || text('ver_sw').slice(0, 8)]
      .join(' ')
      .trim(),
    hardware: text('ver_hw'),
    epochMs: await epochOf(ulog),
  }
}

/** ver_sw_release: 0xAABBCCTT, TT being the kind (255: a release). */
function release(value: unknown): string {
  if (typeof value !== 'number' || value === 0) return ''
  return [24, 16, 8].map(shift => (value >>> shift) & 0xff).join('.')
}

/** From the first position whose receiver knew the time. */
async function epochOf(ulog: ULog): Promise<number | undefined> {
  const receivers = [...ulog.subscriptions].filter(([, { name }]) =>
    ['vehicle_gps_position', 'sensor_gps'].includes(name),
  )
  if (receivers.length === 0) return undefined
  for await (const message of ulog.readMessages({ msgIds: new Set(receivers.map(([id]) => id)) })) {
    if (message.type !== MessageType.Data) continue
    const { time_utc_usec: utc, timestamp } = message.value
    if (typeof utc === 'bigint' && utc > 0n) return Number(utc - timestamp) / 1000
  }
  return undefined
}

async function readMessages(
  ulog: ULog,
  into: Gatherer,
  epochMs: number,
  stretch: Stretch | undefined,
): Promise<void> {
  const micros = (ms: number) => BigInt(Math.round((ms - epochMs) * 1000))
  const state = { mode: undefined as string | undefined, armed: undefined as boolean | undefined }
  const messages = ulog.readMessages(
    stretch === undefined ? {} : { startTime: micros(stretch.fromMs), endTime: micros(stretch.toMs) },
  )
  const time = (timestamp: bigint) => epochMs + Number(timestamp) / 1000
  try {
    for await (const message of messages) {
      if (message.type === MessageType.Data) {
        const topic = ulog.subscriptions.get(message.msgId)
        // Time 0: a topic that was logged before anybody wrote it.
        if (topic === undefined || message.value.timestamp === 0n) continue
        const ms = time(message.value.timestamp)
        into.saw(ms)
        const name = topic.multiId === 0 ? topic.name : `${topic.name}#${topic.multiId}`
        fields(into, name, ms, message.value)
        if (topic.multiId === 0) known(into, topic.name, ms, message.value, state)
      } else if (message.type === MessageType.Log || message.type === MessageType.LogTagged) {
        into.event(time(message.timestamp), 'status-text', severityOf(message.logLevel), message.message)
      }
    }
  } catch (cause) {
    // A log that was cut off when the power went: what came before is whole.
    if (into.endMs === Number.NEGATIVE_INFINITY) {
      throw new UserError(`The log holds no whole message (${messageOf(cause)}): copy it again`, { cause })
    }
  }
}

function fields(into: Sink, topic: string, ms: number, value: ParsedMessage): void {
  for (const [key, field] of Object.entries(value)) {
    if (key !== 'timestamp' && key !== 'timestamp_sample') put(into, `${topic}.${key}`, topic, ms, field)
  }
}

function put(into: Sink, name: string, topic: string, ms: number, field: FieldValue): void {
  if (typeof field === 'number' || typeof field === 'boolean' || typeof field === 'bigint') {
    into.value(name, ms, Number(field), () => ({ label: name, unit: '', group: topic }))
  } else if (Array.isArray(field) && field.length <= MAX_ARRAY) {
    for (const [i, element] of field.entries()) put(into, `${name}[${i}]`, topic, ms, element)
  }
}

/** What every log has, from the topics in which PX4 keeps it. */
function known(
  into: Sink,
  topic: string,
  ms: number,
  value: ParsedMessage,
  state: { mode: string | undefined; armed: boolean | undefined },
): void {
  const standard = (name: StandardSeries, figure: unknown) => {
    if (typeof figure === 'number') into.value(name, ms, figure, () => seriesInfo(name))
  }
  const number = (key: string) => (typeof value[key] === 'number' ? (value[key] as number) : undefined)
  if (topic === 'vehicle_attitude' && Array.isArray(value.q)) {
    const { roll, pitch, yaw } = anglesOf(value.q as number[])
    standard('rollDeg', roll)
    standard('pitchDeg', pitch)
    standard('yawDeg', compass(yaw))
  } else if (topic === 'vehicle_global_position') {
    const place = {
      latitudeDeg: number('lat') ?? 0,
      longitudeDeg: number('lon') ?? 0,
      altitudeM: number('alt'),
    }
    into.position(ms, place, 'estimate')
    standard('altitudeM', number('alt'))
  } else if (topic === 'vehicle_gps_position') {
    // Until PX4 1.14 in 1e-7 degrees and millimetres.
    const place = {
      latitudeDeg: number('latitude_deg') ?? (number('lat') ?? 0) / 1e7,
      longitudeDeg: number('longitude_deg') ?? (number('lon') ?? 0) / 1e7,
      altitudeM: number('altitude_msl_m') ?? (number('alt') ?? Number.NaN) / 1000,
    }
    into.position(ms, place, 'receiver')
    standard('satellites', number('satellites_used'))
  } else if (topic === 'vehicle_local_position') {
    standard('heightM', negative(number('z')))
    standard('climbMps', negative(number('vz')))
    const [north, east] = [number('vx'), number('vy')]
    if (north !== undefined && east !== undefined) standard('speedMps', Math.hypot(north, east))
  } else if (topic === 'airspeed_validated' || topic === 'airspeed') {
    standard('airspeedMps', number('true_airspeed_m_s'))
  } else if (topic === 'battery_status') {
    standard('batteryV', number('voltage_v'))
    const left = number('remaining')
    if (left !== undefined && left >= 0) standard('batteryPercent', 100 * left)
  } else if (topic === 'vehicle_status') {
    status(into, ms, value, state)
  }
}

function status(
  into: Sink,
  ms: number,
  { nav_state: nav, arming_state: arming }: ParsedMessage,
  state: { mode: string | undefined; armed: boolean | undefined },
): void {
  if (typeof nav === 'number') {
    const mode = navStates[nav] || `mode ${nav}`
    if (mode !== state.mode) into.event(ms, 'mode', 'info', `Mode ${mode}`)
    state.mode = mode
  }
  if (typeof arming === 'number') {
    const armed = arming === ARMED
    if (armed !== (state.armed ?? false))
      into.event(ms, armed ? 'armed' : 'disarmed', 'info', armed ? 'Armed' : 'Disarmed')
    state.armed = armed
  }
}

function negative(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value
}

/** PX4 writes levels as digits: '3' is 51. */
function severityOf(level: number): Severity {
  const digit = level >= 48 ? level - 48 : level
  if (digit <= LogLevel.Err) return 'error'
  return digit === LogLevel.Warning ? 'warning' : 'info'
}
