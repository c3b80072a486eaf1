import { FrameReader, kindOf, modeName, type Received, type Sender } from '@kestrel/link/mavlink'
import { common, type MavLinkData, type MavLinkPacketField, minimal, standard } from 'mavlink-mappings'
import type { Severity } from '../api.js'
import type { Stretch } from '../recording.js'
import { type StandardSeries, seriesInfo } from '../standard-series.js'
import { compass } from './attitude.js'
import type { Gatherer, Sink } from './gather.js'

const { MavAutopilot, MavComponent, MavModeFlag, MavType } = minimal
const { MavSeverity } = common

/** Longer arrays of a message are no series to plot. */
const MAX_ARRAY = 8
const DEGREES = 180 / Math.PI
/** "Unknown" in the fields that say it with the largest number. */
const UNKNOWN_16 = 0xffff

/** One packet of a log, with the time at which it was heard. */
export interface TimedPacket {
  timeMs: number
  packet: Uint8Array
}

/** What the log says about the vehicle. */
export interface TlogFacts {
  /** Such as ArduCopter; empty where no autopilot was heard. */
  vehicle: string
  firmware: string
  packets: number
  /** Packets that no message came out of: unknown, or damaged. */
  unread: number
}

/**
 * Reads packets into a gatherer: the standard series, every field that is a number of every message, track, modes, arming, texts, parameters.
 * The vehicle is the first autopilot that is heard; messages of others carry their system and component in the name.
 */
export async function readTlog(
  packets: AsyncIterable<TimedPacket> | Iterable<TimedPacket>,
  into: Gatherer,
  options: { stretch?: Stretch } = {},
): Promise<TlogFacts> {
  const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = options.stretch ?? {}
  const frames = new FrameReader()
  const vehicle = new FollowedVehicle(into)
  const facts: TlogFacts = { vehicle: '', firmware: '', packets: 0, unread: 0 }
  for await (const { timeMs, packet } of packets) {
    if (timeMs > toMs) break
    // The vehicle is known by its heartbeats, those before the stretch too.
    const received = frames.read(packet)
    facts.packets += 1
    if (received.length === 0) facts.unread += 1
    for (const one of received) vehicle.hear(timeMs, one, timeMs >= fromMs)
    if (timeMs >= fromMs) into.saw(timeMs)
  }
  return { ...facts, vehicle: vehicle.kind, firmware: vehicle.firmware }
}

class FollowedVehicle {
  kind = ''
  firmware = ''
  readonly #into: Gatherer
  #who: Sender | undefined
  #mode: string | undefined
  #armed: boolean | undefined
  #texts = new Map<number, { timeMs: number; severity: number; chunks: string[] }>()

  constructor(into: Gatherer) {
    this.#into = into
  }

  hear(timeMs: number, { from, data }: Received, wanted: boolean): void {
    if (data instanceof minimal.Heartbeat) this.#heartbeat(timeMs, from, data, wanted)
    if (!wanted) return
    // Until the first heartbeat whoever calls itself an autopilot is the vehicle.
    const who = this.#who ?? { system: from.system, component: MavComponent.AUTOPILOT1 }
    const own = who.system === from.system && who.component === from.component
    fields(this.#into, data, timeMs, own ? '' : `@${from.system}.${from.component}`)
    if (data instanceof common.StatusText) this.#text(timeMs, data)
    if (own) this.#known(timeMs, data)
  }

  #heartbeat(timeMs: number, from: Sender, beat: minimal.Heartbeat, wanted: boolean): void {
    if (beat.autopilot === MavAutopilot.INVALID || beat.type === MavType.GCS) return
    this.#who ??= from
    if (this.#who.system !== from.system || this.#who.component !== from.component) return
    this.kind = kindOf(beat.type, beat.autopilot)
    const mode = modeName(beat.type, beat.autopilot, beat.customMode)
    if (wanted && mode !== this.#mode) this.#into.event(timeMs, 'mode', 'info', `Mode ${mode}`)
    this.#mode = mode
    const armed = (beat.baseMode & MavModeFlag.SAFETY_ARMED) !== 0
    if (wanted && armed !== (this.#armed ?? false)) {
      this.#into.event(timeMs, armed ? 'armed' : 'disarmed', 'info', armed ? 'Armed' : 'Disarmed')
    }
    this.#armed = armed
  }

  /** STATUSTEXT (#253): texts beyond 50 characters come in chunks with one id. */
  #text(timeMs: number, { severity, text, id, chunkSeq }: common.StatusText): void {
    const clean = text.split('\0')[0]
    if (!id) {
      this.#into.event(timeMs, 'status-text', severityOf(severity), clean)
      return
    }
    const open = this.#texts.get(id) ?? { timeMs, severity, chunks: [] }
    open.chunks[chunkSeq] = clean
    this.#texts.set(id, open)
    if (clean.length === 50 && chunkSeq < 5) return
    this.#texts.delete(id)
    this.#into.event(open.timeMs, 'status-text', severityOf(open.severity), open.chunks.join(''))
  }

  #known(timeMs: number, data: MavLinkData): void {
    const into = this.#into
    const put = (name: StandardSeries, value: number) =>
      into.value(name, timeMs, value, () => seriesInfo(name))
    if (data instanceof common.GlobalPositionInt) {
      const place = {
        latitudeDeg: data.lat / 1e7,
        longitudeDeg: data.lon / 1e7,
        altitudeM: data.alt / 1000,
      }
      into.position(timeMs, place, 'estimate')
      put('altitudeM', place.altitudeM)
      put('heightM', data.relativeAlt / 1000)
      put('speedMps', Math.hypot(data.vx, data.vy) / 100)
      put('climbMps', -data.vz / 100)
    } else if (data instanceof common.GpsRawInt) {
      const place = {
        latitudeDeg: data.lat / 1e7,
        longitudeDeg: data.lon / 1e7,
        altitudeM: data.alt / 1000,
      }
      if (data.fixType >= common.GpsFixType.GPS_FIX_TYPE_2D_FIX) into.position(timeMs, place, 'receiver')
      if (data.satellitesVisible < 255) put('satellites', data.satellitesVisible)
    } else if (data instanceof common.Attitude) {
      put('rollDeg', data.roll * DEGREES)
      put('pitchDeg', data.pitch * DEGREES)
      put('yawDeg', compass(data.yaw * DEGREES))
    } else if (data instanceof common.VfrHud) {
      put('airspeedMps', data.airspeed)
    } else if (data instanceof common.SysStatus) {
      if (data.voltageBattery !== UNKNOWN_16) put('batteryV', data.voltageBattery / 1000)
      if (data.batteryRemaining >= 0) put('batteryPercent', data.batteryRemaining)
    } else if (data instanceof common.ParamValue) {
      into.parameter(data.paramId.split('\0')[0], data.paramValue)
    } else if (data instanceof standard.AutopilotVersion) {
      const version = data.flightSwVersion
      this.firmware = [24, 16, 8].map(shift => (version >>> shift) & 0xff).join('.')
    }
  }
}

/** Every field that is a number, under the names of the standard: `ATTITUDE.roll`. */
function fields(into: Sink, data: MavLinkData, timeMs: number, whose: string): void {
  const { MSG_NAME, FIELDS } = data.constructor as unknown as {
    MSG_NAME: string
    FIELDS: MavLinkPacketField[]
  }
  const group = `${MSG_NAME}${whose}`
  for (const { name, source, units } of FIELDS) {
    const value = data[name as keyof MavLinkData] as unknown
    const put = (series: string, figure: unknown) => {
      if (typeof figure === 'number' || typeof figure === 'bigint') {
        into.value(series, timeMs, Number(figure), () => ({ label: series, unit: units ?? '', group }))
      }
    }
    if (!Array.isArray(value)) put(`${group}.${source}`, value)
    else if (value.length <= MAX_ARRAY)
      value.forEach((figure, i) => {
        put(`${group}.${source}[${i}]`, figure)
      })
  }
}

function severityOf(severity: number): Severity {
  if (severity <= MavSeverity.ERROR) return 'error'
  return severity === MavSeverity.WARNING ? 'warning' : 'info'
}
