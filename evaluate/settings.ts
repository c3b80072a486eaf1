import {
  engineOptionsSchema,
  readAssignments,
  type SessionOptions,
  sessionOptionsSchema,
} from '@kestrel/ground-station'
import { parseConfig } from '@kestrel/runtime'
import { z } from 'zod'

/** What `--set` can change: the options of a session under their own names, and those of the replay and its other schemes. */
const settingsSchema = sessionOptionsSchema.omit({ seed: true }).extend({
  link: z
    .strictObject({
      uplinkKbps: z.number().positive().max(100_000).default(200).describe('budget of the segments, kbit/s'),
      videoCodec: z.enum(['h264', 'hevc', 'av1']).default('h264').describe('of the segments'),
    })
    .prefault({}),
  training: engineOptionsSchema.prefault({}),
  oneTime: z
    .strictObject({
      seconds: z
        .number()
        .positive()
        .default(60)
        .describe('footage that is learned from, s; at most half of the video'),
      fps: z.number().positive().max(60).default(1).describe('frames sampled from it, frames/s'),
      iterations: z.number().int().min(1).max(100_000).default(200).describe('training iterations'),
      alpha: z
        .number()
        .positive()
        .max(1)
        .default(1e-3)
        .describe('learning rate: all weights go astray at that of ams'),
    })
    .prefault({}),
  tracking: z
    .strictObject({
      fps: z.number().positive().max(60).default(1).describe('frames sent to the remote teacher, frames/s'),
      frameKbit: z.number().positive().max(100_000).default(800).describe('budget of each frame, kbit'),
      flowWidth: z
        .number()
        .int()
        .min(32)
        .max(4096)
        .default(320)
        .describe('width at which optical flow is computed, pixels'),
    })
    .prefault({}),
  jit: z
    .strictObject({
      threshold: z
        .number()
        .min(0)
        .max(1)
        .default(0.8)
        .describe('mIoU on a sampled frame that is good enough, 0..1'),
      iterations: z
        .number()
        .int()
        .min(1)
        .max(1000)
        .default(8)
        .describe('most training iterations on one frame'),
      alpha: z.number().positive().max(1).default(1e-3).describe('learning rate'),
      momentum: z.number().min(0).lt(1).default(0.9).describe('of the optimiser'),
      fraction: z
        .number()
        .positive()
        .max(1)
        .default(0.05)
        .describe('share of the parameters that one update changes'),
      minStrideS: z.number().positive().default(0.27).describe('shortest time between sampled frames, s'),
      maxStrideS: z.number().positive().default(2.1).describe('longest time between sampled frames, s'),
      frameKbit: z
        .number()
        .positive()
        .max(100_000)
        .default(800)
        .describe('budget of each sampled frame, kbit'),
    })
    .prefault({}),
})

export type Settings = z.infer<typeof settingsSchema>

/**
 * Reads `key=value` settings: `fraction=0.1`, `asr.enabled=false`, `jit.threshold=0.7`.
 *
 * @throws UserError that names the setting, what is wrong with it, and the nearest known key
 */
export function readSettings(list: string[] = []): Settings {
  return parseConfig(readAssignments(list), settingsSchema, '--set')
}

/** The options of a session among the settings. */
export function sessionSettings(settings: Settings, seed: number): SessionOptions {
  const {
    link: _link,
    training: _training,
    oneTime: _oneTime,
    tracking: _tracking,
    jit: _jit,
    ...session
  } = settings
  return { ...session, seed }
}

/** Every setting by its dotted name, for results.json. */
export function flattenSettings(settings: object, prefix = ''): Record<string, number | string | boolean> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([key, value]) =>
      typeof value === 'object' && value !== null
        ? Object.entries(flattenSettings(value, `${prefix}${key}.`))
        : [[`${prefix}${key}`, value as number | string | boolean]],
    ),
  )
}

/** One line a setting with its default, for `--help`. */
export function describeSettings(): string {
  const describe = (shape: Record<string, z.ZodType>, prefix: string): string[] =>
    Object.entries(shape).flatMap(([key, field]) => {
      const group = innermost(field)
      if (group instanceof z.ZodObject)
        return describe(group.shape as Record<string, z.ZodType>, `${prefix}${key}.`)
      const value = defaults[`${prefix}${key}`]
      const assignment = `${prefix}${key}${value === undefined ? '' : `=${value}`}`
      return [`  ${assignment.padEnd(32)} ${field.description ?? ''}`]
    })
  const defaults = flattenSettings(readSettings())
  return describe(settingsSchema.shape as unknown as Record<string, z.ZodType>, '').join('\n')
}

function innermost(field: z.ZodType): z.ZodType {
  return field instanceof z.ZodPrefault || field instanceof z.ZodDefault
    ? innermost(field.unwrap() as z.ZodType)
    : field
}
