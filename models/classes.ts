import { readFileSync } from 'node:fs'
import { messageOf, UserError } from '@kestrel/runtime/errors'
import { IGNORE } from './image.js'

export type Colour = [number, number, number]

/** The classes that a model or a set of labels knows, by index. */
export interface ClassList {
  classes: string[]
  /** RGB, one for each class. */
  palette?: Colour[]
  /** Index in label images that means "unlabelled" (beside `IGNORE`). */
  ignore?: number
}

/** Indices 0…254 are classes, 255 is `IGNORE`. */
export const MAX_CLASSES = IGNORE

/**
 * Reads a `classes.json`, or the JSON beside a model: `{ "classes": […], "palette": [[r,g,b],…], "ignore": n }`,
 * other keys are left alone.
 *
 * @throws UserError that names the file and the entry
 */
export function readClassList(file: string): ClassList {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`Cannot read the class list ${file}: ${messageOf(cause)}`, { cause })
  }
  return checkClassList(parseJson(text, file), file)
}

/** Checks what was parsed from JSON; `source` names it in errors. */
export function checkClassList(value: unknown, source: string): ClassList {
  const fail = (what: string): never => {
    throw new UserError(`${source}: ${what}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail('expected an object such as {"classes": ["sky", "road"]}')
  }
  const { classes, palette, ignore } = value as Record<string, unknown>
  const names = checkNames(classes, fail)
  if (
    ignore !== undefined &&
    !(Number.isInteger(ignore) && (ignore as number) >= 0 && (ignore as number) <= 255)
  ) {
    fail(`"ignore" is ${JSON.stringify(ignore)}; expected a label from 0 to 255`)
  }
  return {
    classes: names,
    ...(palette === undefined ? {} : { palette: checkPalette(palette, names.length, fail) }),
    ...(ignore === undefined ? {} : { ignore: ignore as number }),
  }
}

function checkNames(classes: unknown, fail: (what: string) => never): string[] {
  if (!Array.isArray(classes) || classes.length === 0) {
    return fail('"classes" must be a list with at least one name')
  }
  if (classes.length > MAX_CLASSES) {
    fail(`"classes" has ${classes.length} names; at most ${MAX_CLASSES} fit a label image`)
  }
  const seen = new Map<string, number>()
  classes.forEach((name, index) => {
    if (typeof name !== 'string' || name.trim() === '') {
      fail(`class ${index} is ${JSON.stringify(name)}; expected a name`)
    }
    const key = canonical(name)
    const first = seen.get(key)
    if (first !== undefined) fail(`classes ${first} and ${index} are both called "${name}"`)
    seen.set(key, index)
  })
  return classes.slice()
}

function checkPalette(palette: unknown, count: number, fail: (what: string) => never): Colour[] {
  if (!Array.isArray(palette) || palette.length !== count) {
    return fail(
      `"palette" must be a list of ${count} colours, one for each class; found ${
        Array.isArray(palette) ? palette.length : JSON.stringify(palette)
      }`,
    )
  }
  for (const [index, colour] of palette.entries()) {
    const good =
      Array.isArray(colour) &&
      colour.length === 3 &&
      colour.every(part => Number.isInteger(part) && part >= 0 && part <= 255)
    if (!good) fail(`colour ${index} is ${JSON.stringify(colour)}; expected [r, g, b] from 0 to 255`)
  }
  return palette.map(([r, g, b]) => [r, g, b])
}

/** Parses JSON that a person wrote. */
export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UserError(`${source} is not valid JSON: ${messageOf(cause)}`, { cause })
  }
}

/** Distinct colours for classes that came without any: hues a golden angle apart. */
export function defaultPalette(count: number): Colour[] {
  return Array.from({ length: count }, (_, i) => {
    const hue = (i * 137.508) % 360
    const value = 0.95 - 0.15 * (Math.floor(i / 8) % 4)
    const part = (n: number) => {
      const k = (n + hue / 60) % 6
      return Math.round(255 * (value - value * 0.75 * Math.max(0, Math.min(k, 4 - k, 1))))
    }
    return [part(5), part(3), part(1)]
  })
}

/**
 * The table that turns labels of one class list into those of another, by name: 256 entries, `IGNORE` where a class
 * has no counterpart. Case, spaces, `-` and `_` make no difference.
 *
 * @throws UserError when not a single name matches
 */
export function mapClasses(from: string[], to: string[]): Uint8Array {
  const targets = new Map(to.map((name, index) => [canonical(name), index]))
  const table = new Uint8Array(256).fill(IGNORE)
  let matches = 0
  from.slice(0, MAX_CLASSES).forEach((name, index) => {
    const target = targets.get(canonical(name))
    if (target === undefined) return
    table[index] = target
    matches++
  })
  if (matches === 0) {
    throw new UserError(
      `None of the labels' classes (${from.join(', ')}) is one of the student's (${to.join(', ')}); ` +
        'name the classes alike in their classes.json',
    )
  }
  return table
}

function canonical(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, '-')
}
