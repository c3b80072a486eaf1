import { common, type MavLinkData } from 'mavlink-mappings'
import { BootClock } from './boot-clock.js'
import { type Motion, type Position, Track } from './track.js'

export interface Battery {
  volts?: number
  amperes?: number
  percent?: number
}

const { MavLandedState } = common

/** What is known of the vehicle, from the messages of its autopilot. */
export class VehicleState {
  readonly track = new Track()
  readonly bootClock = new BootClock()
  position: Position | undefined
  motion: Motion | undefined
  battery: Battery = {}
  /** GPS_FIX_TYPE and satellites in view. */
  gps = { fix: 0, satellites: 0 }
  airspeedMps: number | undefined
  landed: common.MavLandedState = MavLandedState.UNDEFINED

  /** Takes a message of the autopilot; those of no interest are passed over. @param nowMs when it came */
  take(data: MavLinkData, nowMs: number): void {
    if (data instanceof common.Attitude) this.#attitude(data, nowMs)
    else if (data instanceof common.GlobalPositionInt) this.#position(data, nowMs)
    else if (data instanceof common.SystemTime) this.bootClock.toClockMs(data.timeBootMs, nowMs)
    else if (data instanceof common.SysStatus) this.#sysStatus(data)
    else if (data instanceof common.BatteryStatus) this.#batteryStatus(data)
    else if (data instanceof common.GpsRawInt) {
      const { fixType, satellitesVisible } = data
      this.gps = { fix: fixType, satellites: satellitesVisible === 255 ? 0 : satellitesVisible }
    } else if (data instanceof common.VfrHud) this.airspeedMps = finite(data.airspeed)
    else if (data instanceof common.ExtendedSysState) this.landed = data.landedState
  }

  #attitude(data: common.Attitude, nowMs: number): void {
    const { timeBootMs, roll, pitch, yaw, rollspeed, pitchspeed, yawspeed } = data
    if (![roll, pitch, yaw].every(Number.isFinite)) return
    const rates = { roll: finite(rollspeed) ?? 0, pitch: finite(pitchspeed) ?? 0, yaw: finite(yawspeed) ?? 0 }
    this.motion = { attitude: { roll, pitch, yaw }, rates }
    this.track.addMotion(this.bootClock.toClockMs(timeBootMs, nowMs), this.motion)
  }

  #position(data: common.GlobalPositionInt, nowMs: number): void {
    const { timeBootMs, lat, lon, alt, relativeAlt, vx, vy, vz } = data
    const timeMs = this.bootClock.toClockMs(timeBootMs, nowMs)
    // Before the first fix.
    if (lat === 0 && lon === 0) return
    if (Math.abs(lat) > 90e7 || Math.abs(lon) > 180e7) return
    this.position = {
      latitude: lat / 1e7,
      longitude: lon / 1e7,
      altitudeM: alt / 1000,
      heightM: relativeAlt / 1000,
      northMps: vx / 100,
      eastMps: vy / 100,
      downMps: vz / 100,
    }
    this.track.addPosition(timeMs, this.position)
  }

  #sysStatus({ voltageBattery, currentBattery, batteryRemaining }: common.SysStatus): void {
    this.battery = {
      volts: voltageBattery === 0xffff || voltageBattery === 0 ? undefined : voltageBattery / 1000,
      amperes: currentBattery < 0 ? undefined : currentBattery / 100,
      percent: batteryRemaining < 0 ? undefined : batteryRemaining,
    }
  }

  /** The first battery's; SYS_STATUS may come from a firmware that leaves these out. */
  #batteryStatus({ id, currentBattery, batteryRemaining }: common.BatteryStatus): void {
    if (id !== 0) return
    if (currentBattery >= 0) this.battery.amperes = currentBattery / 100
    if (batteryRemaining >= 0) this.battery.percent = batteryRemaining
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}
