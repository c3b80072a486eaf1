/** MAV_PARAM_TYPE numbers. ArduPilot sends every value as a float, whatever its type (a C cast, not its bytes). */
const int8 = 2
const int16 = 4
const int32 = 6
const real32 = 9

type Row = [name: string, type: number, value: number]

/** Message groups of ArduPilot's SR0_* parameters, whose values are rates in Hz. */
export type Stream = 'EXT_STAT' | 'POSITION' | 'EXTRA1' | 'EXTRA2' | 'EXTRA3'

const rows: Row[] = [
  ['ARMING_CHECK', int32, 1],
  ['BATT_CAPACITY', int32, 16000],
  ['BATT_LOW_VOLT', real32, 21],
  ['BATT_MONITOR', int8, 4],
  ['BRD_SER2_RTSCTS', int8, 2],
  ['FENCE_ENABLE', int8, 0],
  ['FRAME_CLASS', int8, 1],
  ['FRAME_TYPE', int8, 1],
  ['FS_GCS_ENABLE', int8, 0],
  ['FS_THR_ENABLE', int8, 1],
  ['GPS_TYPE', int8, 1],
  ['LAND_ALT_LOW', int16, 500],
  ['LAND_SPEED', int16, 50],
  ['LAND_SPEED_HIGH', int16, 200],
  ['LOG_BACKEND_TYPE', int8, 1],
  ['RTL_ALT', int32, 0],
  ['SERIAL0_BAUD', int32, 115],
  ['SERIAL0_PROTOCOL', int8, 2],
  ['SERIAL1_BAUD', int32, 57],
  ['SERIAL1_PROTOCOL', int8, 2],
  ['SERIAL2_BAUD', int32, 921],
  ['SERIAL2_PROTOCOL', int8, 2],
  ['SERIAL3_BAUD', int32, 38],
  ['SERIAL3_PROTOCOL', int8, 5],
  ['SR0_ADSB', int16, 0],
  ['SR0_EXTRA1', int16, 4],
  ['SR0_EXTRA2', int16, 4],
  ['SR0_EXTRA3', int16, 2],
  ['SR0_EXT_STAT', int16, 2],
  ['SR0_PARAMS', int16, 50],
  ['SR0_POSITION', int16, 4],
  ['SR0_RAW_CTRL', int16, 0],
  ['SR0_RAW_SENS', int16, 0],
  ['SR0_RC_CHAN', int16, 0],
  ['SR1_EXTRA1', int16, 4],
  ['SR1_EXTRA2', int16, 4],
  ['SR1_EXTRA3', int16, 2],
  ['SR1_EXT_STAT', int16, 2],
  ['SR1_POSITION', int16, 4],
  ['SR2_EXTRA1', int16, 0],
  ['SR2_EXTRA2', int16, 0],
  ['SR2_EXTRA3', int16, 0],
  ['SR2_EXT_STAT', int16, 0],
  ['SR2_POSITION', int16, 0],
  ['SYSID_ENFORCE', int8, 0],
  ['SYSID_MYGCS', int16, 255],
  ['SYSID_THISMAV', int16, 1],
  ['WPNAV_ACCEL', real32, 180],
  ['WPNAV_RADIUS', real32, 500],
  ['WPNAV_SPEED', real32, 1000],
  ['WPNAV_SPEED_DN', real32, 200],
  ['WPNAV_SPEED_UP', real32, 300],
]

const ranges: Record<number, [number, number]> = {
  [int8]: [-128, 127],
  [int16]: [-32768, 32767],
  [int32]: [-(2 ** 31), 2 ** 31 - 1],
}

export interface Parameter {
  name: string
  type: number
  value: number
  index: number
}

/**
 * A small table of ArduPilot's parameters. Values can be set and read back; those of SR0_* change the rates of messages, the others
 * change nothing, since the flight is planned already.
 */
export class ParameterTable {
  readonly #all: Parameter[] = rows.map(([name, type, value], index) => ({ name, type, value, index }))

  get count(): number {
    return this.#all.length
  }

  at(index: number): Parameter | undefined {
    return this.#all[index]
  }

  find(name: string): Parameter | undefined {
    return this.#all.find(parameter => parameter.name === name)
  }

  /** Sets and returns a parameter, with its value brought into its type's range; undefined where the name or value is none. */
  set(name: string, value: number): Parameter | undefined {
    const parameter = this.find(name)
    if (parameter === undefined || !Number.isFinite(value)) return undefined
    const range = ranges[parameter.type]
    // The address that everybody already uses stays.
    if (name === 'SYSID_THISMAV') return parameter
    parameter.value =
      range === undefined ? Math.fround(value) : Math.round(Math.min(Math.max(value, range[0]), range[1]))
    return parameter
  }

  /** Rate of a stream of messages, Hz, at most 50. */
  streamHz(stream: Stream): number {
    return Math.min(Math.max(this.find(`SR0_${stream}`)?.value ?? 0, 0), 50)
  }
}
