import { UserError } from '@kestrel/runtime'
import type { Payload } from './messages.js'

/** What a topic is about: the last part of `kestrel/v1/<drone>/<what>`. */
export type What =
  | 'status'
  | 'telemetry'
  | 'segment'
  | 'receipt'
  | 'update'
  | 'update-result'
  | 'control'
  | 'resync'
  | 'command'
  | 'command-result'

/**
 * How each kind of message travels (DESIGN.md section 6), and who sends it: nobody else may, and what comes from the ground is signed. A
 * retained one is handed to whoever subscribes later.
 */
export const delivery: Record<
  What,
  { payload: Payload['case']; from: 'drone' | 'ground'; qos: 0 | 1; retain: boolean }
> = {
  status: { payload: 'status', from: 'drone', qos: 1, retain: true },
  telemetry: { payload: 'telemetry', from: 'drone', qos: 0, retain: false },
  segment: { payload: 'segment', from: 'drone', qos: 1, retain: false },
  receipt: { payload: 'receipt', from: 'ground', qos: 1, retain: false },
  update: { payload: 'update', from: 'ground', qos: 1, retain: false },
  'update-result': { payload: 'updateResult', from: 'drone', qos: 1, retain: false },
  control: { payload: 'control', from: 'ground', qos: 1, retain: true },
  resync: { payload: 'resync', from: 'drone', qos: 1, retain: false },
  command: { payload: 'command', from: 'ground', qos: 1, retain: false },
  'command-result': { payload: 'commandResult', from: 'drone', qos: 1, retain: false },
}

const ROOT = 'kestrel/v1'
const DRONE = /^[a-z0-9-]{1,32}$/

/** The topic of one drone's messages of one kind, `kestrel/v1/<drone>/<what>`. */
export function topic(drone: string, what: What): string {
  return `${ROOT}/${checkDroneName(drone)}/${what}`
}

/** The subscription filter for messages of one kind from every drone. */
export function everyDrone(what: What): string {
  return `${ROOT}/+/${what}`
}

/** The drone and the kind that a topic names; undefined for any topic that is not Kestrel's. */
export function parseTopic(name: string): { drone: string; what: What } | undefined {
  const parts = name.split('/')
  if (parts.length !== 4 || `${parts[0]}/${parts[1]}` !== ROOT || !DRONE.test(parts[2])) return undefined
  if (!Object.hasOwn(delivery, parts[3])) return undefined
  return { drone: parts[2], what: parts[3] as What }
}

/**
 * Returns the name when it can stand in a topic.
 *
 * @throws UserError that says what a name may be
 */
export function checkDroneName(name: string): string {
  if (DRONE.test(name)) return name
  throw new UserError(
    `The drone's name is ${JSON.stringify(name)}: it may have 1 to 32 lower-case letters, digits and hyphens, such as "scout-1"`,
  )
}

/**
 * Whether a topic matches a subscription filter with its wildcards: `+` one level, a final `#` all that
 * follow, the parent included [MQTT-4.7.1]; neither matches a first level that begins with `$` [MQTT-4.7.2-1].
 */
export function matchesFilter(filter: string, name: string): boolean {
  const wanted = filter.split('/')
  const levels = name.split('/')
  if (name.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return i === wanted.length - 1
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false
  }
  return wanted.length === levels.length
}

/** Whether some topic could match both filters. */
export function filtersOverlap(a: string, b: string): boolean {
  const [left, right] = [a.split('/'), b.split('/')]
  for (let i = 0; ; i++) {
    if (left[i] === '#' || right[i] === '#') return true
    // `x/#` matches `x` itself.
    if (i === left.length || i === right.length) {
      return left.length === right.length || left[i] === '#' || right[i] === '#'
    }
    if (left[i] !== '+' && right[i] !== '+' && left[i] !== right[i]) return false
  }
}
