import { parseConfig, UserError } from '@kestrel/runtime'
import { z } from 'zod'
import { strategies } from './coordinates.js'

const asrSchema = z.strictObject({
  enabled: z.boolean().default(true).describe('adapt the sampling rate r; off: r stays at `fps`'),
  fps: z.number().positive().max(60).default(1).describe('r at the start, frames/s'),
  minFps: z.number().positive().max(60).default(0.1).describe('least r, frames/s'),
  maxFps: z.number().positive().max(60).default(1).describe('greatest r, frames/s'),
  step: z.number().positive().default(0.2).describe('greatest change of r in one period, frames/s'),
  steepness: z.number().positive().default(20).describe('how sharply the change sets in beside the target'),
  target: z
    .number()
    .min(0)
    .max(1)
    .default(0.6)
    .describe('agreement φ (mIoU of consecutive labels, 0..1) at which r stays as it is'),
})

const atrSchema = z.strictObject({
  enabled: z.boolean().default(true).describe('train more rarely while the scene is calm'),
  window: z.number().int().min(1).max(100).default(5).describe('sampling rates that are averaged, phases'),
  slowBelowFps: z
    .number()
    .nonnegative()
    .default(0.25)
    .describe('mean r below which T_update grows, frames/s'),
  baseAboveFps: z
    .number()
    .nonnegative()
    .default(0.35)
    .describe('mean r above which T_update returns, frames/s'),
  stepS: z.number().positive().default(2).describe('growth of T_update in one phase, s'),
  maxFactor: z.number().min(1).default(6).describe('greatest T_update, in multiples of updatePeriodS'),
})

const rollBackSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      'have the drone go back where frames labelled after a swap show that the version before is better',
    ),
  minFrames: z.number().int().min(1).max(64).default(5).describe('frames labelled after the swap, at least'),
  margin: z
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .describe('by how much the mIoU 0..1 of what flies must be below that of the version before'),
})

/** Everything that can be set about one drone's session, with the paper's defaults (DESIGN.md section 3). */
export const sessionOptionsSchema = z.strictObject({
  updatePeriodS: z
    .number()
    .positive()
    .max(3600)
    .default(10)
    .describe('T_update: one training phase every so many s'),
  horizonS: z
    .number()
    .positive()
    .max(86_400)
    .default(240)
    .describe('T_horizon: frames older than this are forgotten, s'),
  halfLifeS: z
    .number()
    .nonnegative()
    .max(86_400)
    .default(20)
    .describe('a frame older by so many s trains half as often; 0: all of T_horizon alike, as in the paper'),
  iterations: z.number().int().min(1).max(10_000).default(20).describe('K: training iterations in one phase'),
  fitPeriod: z
    .boolean()
    .default(true)
    .describe('make fewer iterations where K of them would take longer than T_update'),
  batchSize: z.number().int().min(1).max(1024).default(8).describe('B: frames in one mini-batch'),
  fraction: z
    .number()
    .positive()
    .max(1)
    .default(0.05)
    .describe('γ: share of the parameters that one phase changes'),
  strategy: z.enum(strategies).default('gradient-guided').describe('how these parameters are chosen'),
  codec: z.enum(['paper', 'delta', 'checkpoint']).default('delta').describe('how an update is written'),
  movementBits: z
    .number()
    .int()
    .min(1)
    .max(16)
    .default(4)
    .describe('the codec delta rounds what a parameter moves to within 2^-this of it; 16: not at all'),
  classBalance: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe(
      'how much more pixels of rare classes count in the loss: (mean frequency / frequency)^this, at most 8; 0: all alike, as in the paper',
    ),
  alpha: z.number().positive().max(1).default(2e-3).describe('Adam: learning rate α; 0.001 in the paper'),
  beta1: z.number().min(0).lt(1).default(0.9).describe('Adam: decay of the first moment β1'),
  beta2: z.number().min(0).lt(1).default(0.999).describe('Adam: decay of the second moment β2'),
  epsilon: z.number().positive().default(1e-8).describe('Adam: ε'),
  holdOutFraction: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.2)
    .describe(
      'share of the new frames of a phase, the newest, that judge it instead of training it (0: no gate)',
    ),
  resetAfterRefusals: z
    .number()
    .int()
    .min(1)
    .default(6)
    .describe('phases refused by the gate in a row after which training restarts from what the drone flies'),
  maxFrames: z.number().int().min(1).max(100_000).default(1000).describe('replay buffer: most frames'),
  maxBufferMB: z.number().positive().max(65_536).default(512).describe('replay buffer: most memory, MB'),
  historyVersions: z
    .number()
    .int()
    .min(0)
    .max(256)
    .default(8)
    .describe('earlier versions from which a drone can still be caught up by a delta'),
  asr: asrSchema.prefault({}).describe('adaptive sampling rate'),
  atr: atrSchema.prefault({}).describe('adaptive training rate'),
  rollBack: rollBackSchema.prefault({}).describe('going back after a swap for the worse'),
  seed: z.union([z.number().int(), z.string()]).default(1).describe('of everything random in the session'),
})

export type SessionOptions = z.infer<typeof sessionOptionsSchema>

/** What a caller needs to give: any part of the options. */
export type PartialSessionOptions = z.input<typeof sessionOptionsSchema>

/** Checks options and fills in the defaults. */
export function sessionOptions(options: PartialSessionOptions = {}): SessionOptions {
  return parseConfig(options, sessionOptionsSchema, 'The session options')
}

/**
 * Reads settings such as `fraction=0.1`, `asr.enabled=false` or, where only one group has that key, `maxFps=2`.
 *
 * @param list one `key=value` each
 * @param base options that the settings change
 * @throws UserError that names the setting, what is wrong with it, and the nearest known key
 */
export function parseSettings(list: string[], base: PartialSessionOptions = {}): SessionOptions {
  const options = readAssignments(list, settingPath, structuredClone(base) as Record<string, unknown>)
  return parseConfig(options, sessionOptionsSchema, '--set')
}

/**
 * Reads `key=value` and `group.key=value` into an object that a schema can check: true, false and numbers become what they
 * say, anything else stays text.
 *
 * @param pathOf the path that a key stands for; by default its parts between dots
 * @throws UserError where there is no `=`
 */
export function readAssignments(
  list: string[],
  pathOf: (key: string) => string[] = key => key.split('.'),
  options: Record<string, unknown> = {},
): Record<string, unknown> {
  for (const setting of list) {
    const at = setting.indexOf('=')
    if (at < 1) {
      throw new UserError(`--set ${setting}: expected key=value, such as fraction=0.1 or asr.enabled=false`)
    }
    const path = pathOf(setting.slice(0, at).trim())
    let group = options
    for (const key of path.slice(0, -1)) {
      const inner = Object.hasOwn(group, key) ? group[key] : undefined
      group = (typeof inner === 'object' && inner !== null ? inner : (group[key] = {})) as typeof group
    }
    group[path[path.length - 1]] = settingValue(setting.slice(at + 1).trim())
  }
  return options
}

/** The path of a key: as written, or within the one group that has it. */
function settingPath(key: string): string[] {
  const path = key.split('.')
  if (path.length > 1 || Object.hasOwn(sessionOptionsSchema.shape, key)) return path
  const groups = Object.entries({ asr: asrSchema, atr: atrSchema, rollBack: rollBackSchema }).filter(
    ([, group]) => Object.hasOwn(group.shape, key),
  )
  if (groups.length > 1) {
    throw new UserError(
      `--set ${key}: say which one: ${groups.map(([name]) => `${name}.${key}`).join(' or ')}`,
    )
  }
  return groups.length === 1 ? [groups[0][0], key] : path
}

function settingValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text
}
