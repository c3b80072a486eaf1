import type { LabelMap } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'

/** A number for the autopilot and the pilot: MAVLink's NAMED_VALUE_FLOAT (#251), whose names have at most 10 characters. */
export interface NamedValue {
  name: string
  value: number
}

/** A part of the picture; 0 is its left or top edge, 1 its right or bottom one. */
export interface PictureWindow {
  left: number
  top: number
  right: number
  bottom: number
}

const MAX_NAME = 10
const AREA_PREFIX = 'a_'
const CLEAR_GROUND = 'clear_gnd'

/** Areas that are told unless they are chosen: radios are narrow. */
const MAX_AREAS = 16

/** Classes on which one may land, unless the user names others: those of usual class lists that mean open, level ground. */
const openGround = new Set(['land', 'ground', 'terrain', 'grass', 'meadow', 'field', 'dirt', 'bare soil'])

/** What a labelled frame says in a few numbers: the share of each class, and how clear the ground below is. */
export class LabelSummary {
  /** Names of the classes that count as clear; empty where there is no score. */
  readonly safe: string[]
  readonly #areas: { name: string; label: number }[]
  readonly #isSafe: Uint8Array
  readonly #window: PictureWindow

  /**
   * @param options.classes of the student, by label
   * @param options.safe classes to land on; by default those that mean open ground
   * @param options.areas classes whose area is told; by default the first 16
   * @throws UserError that names a class which the student does not have
   */
  constructor(options: { classes: string[]; safe?: string[]; areas?: string[]; window: PictureWindow }) {
    const { classes, window } = options
    const safe =
      options.safe ?? classes.filter(name => openGround.has(name.toLowerCase().replace(/[_-]/g, ' ')))
    const areas = options.areas ?? classes.slice(0, MAX_AREAS)
    this.safe = safe
    this.#isSafe = new Uint8Array(256)
    for (const label of labelsOf(safe, classes, 'safe')) this.#isSafe[label] = 1
    const names = areaNames(areas)
    this.#areas = labelsOf(areas, classes, 'areas').map((label, i) => ({ name: names[i], label }))
    this.#window = window
  }

  /** Shares of the picture 0..1, and `clear_gnd`. */
  values(labels: LabelMap): NamedValue[] {
    const pixels = new Uint32Array(256)
    for (let i = 0; i < labels.data.length; i++) pixels[labels.data[i]]++
    const values = this.#areas.map(({ name, label }) => ({ name, value: pixels[label] / labels.data.length }))
    if (this.safe.length === 0) return values
    return [...values, { name: CLEAR_GROUND, value: clearGround(labels, this.#isSafe, this.#window) }]
  }
}

/**
 * How clear the ground is in a window of the picture, 0..1: the share of its pixels whose class is safe, those near its centre counting
 * more. A pixel weighs (1 − |u|)·(1 − |v|), u and v being its distances from the centre of the window, 1 at its edges;
 * neither factor falls below 0.01.
 *
 * @param isSafe [256], 1 for labels of safe classes
 */
export function clearGround(labels: LabelMap, isSafe: Uint8Array, window: PictureWindow): number {
  const columns = weights(window.left, window.right, labels.width)
  const rows = weights(window.top, window.bottom, labels.height)
  let clear = 0
  let all = 0
  for (let y = 0; y < rows.weights.length; y++) {
    const start = (rows.from + y) * labels.width + columns.from
    for (let x = 0; x < columns.weights.length; x++) {
      const weight = rows.weights[y] * columns.weights[x]
      all += weight
      if (isSafe[labels.data[start + x]] === 1) clear += weight
    }
  }
  return clear / all
}

/** The pixels of one side whose centre lies in the window, the one in the middle at least, and 1 − |distance| of each. */
function weights(begin: number, end: number, size: number): { from: number; weights: Float64Array } {
  const centre = ((begin + end) / 2) * size
  const half = ((end - begin) / 2) * size
  const middle = Math.min(size - 1, Math.floor(centre))
  const from = Math.min(middle, Math.max(0, Math.ceil(centre - half - 0.5)))
  const last = Math.max(middle, Math.min(size - 1, Math.floor(centre + half - 0.5)))
  const weight = (_: unknown, i: number) => Math.max(0.01, 1 - Math.abs(from + i + 0.5 - centre) / half)
  return { from, weights: Float64Array.from({ length: last - from + 1 }, weight) }
}

function labelsOf(names: string[], classes: string[], option: string): number[] {
  return names.map(name => {
    const label = classes.indexOf(name)
    if (label >= 0) return label
    throw new UserError(
      `output.summary.${option} names "${name}", which is no class of the student: it knows ${classes.join(', ')}`,
    )
  })
}

/** `a_` and the class, cut to 10 characters of ASCII; where two would be alike, the later one ends in a number. */
export function areaNames(classes: string[]): string[] {
  const taken = new Set<string>()
  return classes.map(name => {
    const whole = AREA_PREFIX + name.replace(/[^\x21-\x7e]+/g, '_')
    let short = whole.slice(0, MAX_NAME)
    for (let n = 2; taken.has(short); n++) short = whole.slice(0, MAX_NAME - `${n}`.length) + n
    taken.add(short)
    return short
  })
}
