import type { SystemFiles } from './system-files.js'

/** What the board itself does about heat and a weak supply, now. As COMPUTER_STATUS_FLAGS of MAVLink tells them apart. */
export interface Throttling {
  underVoltage: boolean
  /** Clocks are held down, whatever for. */
  cpuThrottled: boolean
  /** Clocks are held down because of heat. */
  thermalThrottled: boolean
}

/** An event counter that rose counts as lasting this long, ms: over-current comes in bursts of milliseconds. */
const EVENT_MS = 5000

/** Bits of the Raspberry Pi firmware's `get_throttled` (documentation of `vcgencmd`): now; the upper half is the past. */
const pi = { underVoltage: 1 << 0, frequencyCapped: 1 << 1, throttled: 1 << 2, softLimit: 1 << 3 }

/** Reads throttling from whatever the board has: Raspberry Pi, Jetson, or any kernel's cooling devices. */
export class ThrottlingMeter {
  readonly #files: SystemFiles
  readonly #counters = new Map<string, { value: number; roseMs: number }>()

  constructor(files: SystemFiles) {
    this.#files = files
  }

  read(nowMs: number): Throttling {
    const parts = [this.#pi(), this.#hwmon(nowMs), this.#cooling()]
    return {
      underVoltage: parts.some(({ underVoltage }) => underVoltage),
      cpuThrottled: parts.some(({ cpuThrottled }) => cpuThrottled),
      thermalThrottled: parts.some(({ thermalThrottled }) => thermalThrottled),
    }
  }

  /** The firmware's device lies at different places on different models; its driver knows where. */
  #pi(): Partial<Throttling> {
    const drivers = '/sys/bus/platform/drivers/raspberrypi-firmware'
    const devices = [...this.#files.list(drivers, /firmware$/), '/sys/devices/platform/soc/soc:firmware']
    for (const device of devices) {
      const text = this.#files.text(`${device}/get_throttled`)
      if (text === undefined) continue
      // Hexadecimal, with 0x or without.
      const bits = Number.parseInt(text, 16)
      return {
        underVoltage: (bits & pi.underVoltage) !== 0,
        cpuThrottled: (bits & (pi.frequencyCapped | pi.throttled)) !== 0,
        // 60 °C of a Pi 3B+, 80 °C later. A cap that comes with under-voltage says nothing of heat.
        thermalThrottled:
          (bits & pi.softLimit) !== 0 || ((bits & pi.throttled) !== 0 && (bits & pi.underVoltage) === 0),
      }
    }
    return {}
  }

  #hwmon(nowMs: number): Partial<Throttling> {
    let underVoltage = false
    let cpuThrottled = false
    for (const path of this.#files.list('/sys/class/hwmon', /^hwmon\d+$/)) {
      const name = this.#files.text(`${path}/name`)
      // Raspberry Pi: the kernel's raspberrypi-hwmon, which newer kernels prefer to get_throttled.
      if (name === 'rpi_volt') underVoltage ||= this.#files.number(`${path}/in0_lcrit_alarm`) === 1
      // Jetson Orin: OC1 is under-voltage, OC2 and OC3 average and instantaneous over-current; the module halves its clocks.
      if (name === 'soctherm_oc') {
        underVoltage ||= this.#rose(`${path}/oc1_event_cnt`, nowMs)
        for (const counter of ['oc1', 'oc2', 'oc3']) {
          if (this.#rose(`${path}/${counter}_event_cnt`, nowMs)) cpuThrottled = true
        }
      }
    }
    return { underVoltage, cpuThrottled }
  }

  /** Jetson announces throttling by cooling devices of its own; elsewhere the kernel's own frequency cap says it. */
  #cooling(): Partial<Throttling> {
    const active = this.#files
      .list('/sys/class/thermal', /^cooling_device\d+$/)
      .filter(path => (this.#files.number(`${path}/cur_state`) ?? 0) > 0)
      .map(path => this.#files.text(`${path}/type`) ?? '')
      .some(type => /throttle-alert$|^hot-surface-alert$|^(thermal-)?cpufreq-/.test(type))
    return { cpuThrottled: active, thermalThrottled: active }
  }

  /** Whether an event counter rose of late; what it counted before we looked is the past. */
  #rose(path: string, nowMs: number): boolean {
    const value = this.#files.number(path)
    if (value === undefined) return false
    const known = this.#counters.get(path)
    const rose = known !== undefined && value > known.value
    const roseMs = rose ? nowMs : (known?.roseMs ?? -Infinity)
    this.#counters.set(path, { value, roseMs })
    return nowMs - roseMs < EVENT_MS
  }
}
