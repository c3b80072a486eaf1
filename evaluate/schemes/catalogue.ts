import { type Strategy, strategies } from '@kestrel/ground-station'
import { UserError } from '@kestrel/runtime'
import { closest } from 'fastest-levenshtein'
import { createAms } from './ams.js'
import type { SchemeContext } from './context.js'
import { createJit } from './jit.js'
import { createNone } from './none.js'
import { createOneTime } from './one-time.js'
import { createRemoteTracking } from './remote-tracking.js'
import type { Scheme } from './scheme.js'

/** A scheme that was asked for, and how to begin it. */
export interface SchemeChoice {
  name: string
  create(context: SchemeContext): Promise<Scheme>
}

const creators: Record<string, SchemeChoice['create']> = {
  none: createNone,
  'one-time': createOneTime,
  'remote-tracking': createRemoteTracking,
  jit: createJit,
  ams: context => createAms(context, { name: 'ams' }),
}

/** The schemes that the paper compares, in its order. */
export const schemeNames = Object.keys(creators)

/**
 * Reads a list such as `none,ams,ams:random`: schemes by name, `ams:STRATEGY` for AMS with another selection of coordinates.
 *
 * @throws UserError that names what is unknown and the nearest known name
 */
export function chooseSchemes(list: string): SchemeChoice[] {
  const names = list.split(',').map(name => name.trim())
  const repeated = names.find((name, i) => names.indexOf(name) !== i)
  if (repeated !== undefined) throw new UserError(`--schemes names "${repeated}" twice; once is enough`)
  return names.map(chooseScheme)
}

function chooseScheme(name: string): SchemeChoice {
  if (Object.hasOwn(creators, name)) return { name, create: creators[name] }
  const strategy = strategies.find(known => name === `ams:${known}`)
  if (strategy !== undefined) return amsVariant(name, strategy)
  const known = [...schemeNames, ...strategies.map(each => `ams:${each}`)]
  throw new UserError(
    name === ''
      ? `--schemes has an empty name; known schemes: ${known.join(', ')}`
      : `--schemes: there is no scheme "${name}"; did you mean "${closest(name, known)}"? Known: ${known.join(', ')}`,
  )
}

function amsVariant(name: string, strategy: Strategy): SchemeChoice {
  return { name, create: context => createAms(context, { name, strategy }) }
}
