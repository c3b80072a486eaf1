import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { loadConfig, UserError } from '@kestrel/runtime'
import { z } from 'zod'
import { homeSchema } from './autopilot/geodesy.js'
import { conditionsSchema } from './conditions.js'
import { type Flight, planFlight } from './mission/plan.js'
import { missionSchema } from './mission/schema.js'
import { World, worldSchema } from './world/world.js'

const pitchDeg = z.number().min(-90).max(20)

const pitchSchema = z
  .union([pitchDeg, z.array(z.strictObject({ atS: z.number().min(0), pitchDeg })).min(1)])
  .default(-30)
  .transform(pitch => (typeof pitch === 'number' ? [{ atS: 0, pitchDeg: pitch }] : pitch))

export const scenarioSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/, 'expected lower-case letters, digits and hyphens'),
  description: z.string().min(1).describe('a sentence for the list'),
  seed: z.number().int().describe('of everything random in it'),
  heldOut: z.boolean().default(false).describe('kept for judging: no model may be trained on it'),
  trains: z
    .array(z.enum(['student', 'teacher']))
    .default([])
    .describe('which shipped models are trained on it'),
  home: homeSchema.describe('where on earth x and y are 0'),
  camera: z
    .strictObject({
      width: z.number().int().min(32).max(1920).default(640).describe('pixels'),
      height: z.number().int().min(32).max(1080).default(360).describe('pixels'),
      fps: z.number().positive().max(60).default(15).describe('frames a second'),
      hfovDeg: z.number().min(20).max(120).default(78).describe('horizontal field of view'),
      distortion: z.number().min(0).max(0.4).default(0.06).describe('barrel distortion'),
      pitch: pitchSchema.describe('of the gimbal, degrees: -90 straight down; or key frames {atS, pitchDeg}'),
    })
    .prefault({}),
  world: worldSchema,
  conditions: conditionsSchema.describe('season, light and weather, as key frames'),
  mission: missionSchema,
})

export type Scenario = z.infer<typeof scenarioSchema>

const folder = join(import.meta.dirname, '../scenarios')

/** The scenarios that come with Kestrel. */
export function scenarioNames(): string[] {
  return readdirSync(folder)
    .filter(name => name.endsWith('.yaml'))
    .map(name => name.slice(0, -'.yaml'.length))
    .sort()
}

/**
 * Reads a scenario.
 *
 * @param nameOrFile one of `scenarioNames()`, or a YAML file
 * @throws UserError that says which names there are, or what is wrong in the file
 */
export function loadScenario(nameOrFile: string): Scenario {
  const shipped = join(folder, `${nameOrFile}.yaml`)
  const isName = /^[a-z0-9-]+$/.test(nameOrFile)
  if (isName && existsSync(shipped)) return loadConfig(shipped, scenarioSchema)
  if (!isName && existsSync(nameOrFile)) return loadConfig(nameOrFile, scenarioSchema)
  throw new UserError(
    `There is no scenario ${nameOrFile}: give a YAML file or one of ${scenarioNames().join(', ')}`,
  )
}

/** Plans the scenario's mission over its world. */
export function openFlight(
  scenario: Scenario,
  world: World = new World(scenario.world, scenario.seed),
): Flight {
  return planFlight(scenario.mission, { groundHeight: world.groundHeight, seed: scenario.seed })
}

/** The gimbal's pitch at a moment, radians; between two key frames in a straight line. */
export function pitchAt(frames: Scenario['camera']['pitch'], timeS: number): number {
  const next = frames.findIndex(({ atS }) => atS > timeS)
  const [a, b] =
    next === 0
      ? [frames[0], frames[0]]
      : next < 0
        ? [frames[frames.length - 1], frames[frames.length - 1]]
        : [frames[next - 1], frames[next]]
  const t = a === b ? 0 : (timeS - a.atS) / (b.atS - a.atS)
  return ((a.pitchDeg + (b.pitchDeg - a.pitchDeg) * t) * Math.PI) / 180
}
