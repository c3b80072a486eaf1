import type { SystemFiles } from './system-files.js'

export interface ThermalReading {
  /** The hottest zone that says something of processors, °C; undefined where the board has no thermometer. */
  temperatureC: number | undefined
  /** Those zones, °C, in the kernel's order. */
  zonesC: number[]
  /** Where the kernel itself begins to slow the board down, °C: the lowest passive trip point; undefined where it names none. */
  passiveC: number | undefined
}

/** Zones of processors; others (charger, radio, board) may be hot by design. */
const processors = /cpu|gpu|soc|tj|pkg|core|acpitz|ap_/i

/** The kernel's thermal zones (Documentation/driver-api/thermal/sysfs-api.rst). Jetsons switch some off: those do not answer. */
export function readThermal(files: SystemFiles): ThermalReading {
  const zones = files.list('/sys/class/thermal', /^thermal_zone\d+$/).flatMap(path => {
    const milliC = files.number(`${path}/temp`)
    // A sensor that is not there reads 0 or absurdly cold.
    if (milliC === undefined || milliC <= -40_000 || milliC >= 200_000 || milliC === 0) return []
    return [{ path, type: files.text(`${path}/type`) ?? '', celsius: milliC / 1000 }]
  })
  const named = zones.filter(({ type }) => processors.test(type))
  const chosen = named.length > 0 ? named : zones
  const passive = chosen.flatMap(({ path }) =>
    files
      .list(path, /^trip_point_\d+_type$/)
      .filter(type => files.text(type) === 'passive')
      .flatMap(type => files.number(type.replace(/_type$/, '_temp')) ?? [])
      .map(milliC => milliC / 1000)
      // Some boards leave a trip point at 0 or below to switch it off.
      .filter(celsius => celsius >= 40),
  )
  const zonesC = chosen.map(({ celsius }) => celsius)
  return {
    temperatureC: zonesC.length > 0 ? Math.max(...zonesC) : undefined,
    zonesC,
    passiveC: passive.length > 0 ? Math.min(...passive) : undefined,
  }
}
