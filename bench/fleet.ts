import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  drawRoute,
  dronesServed,
  type FleetContext,
  type FleetPoint,
  type FleetResult,
  flyFleet,
  measureStepCosts,
  plotFleetSvg,
  type Route,
  type RouteFrame,
  readSettings,
  type StepCosts,
} from '@kestrel/evaluate'
import { createEngine, fleetOptionsSchema } from '@kestrel/ground-station'
import { readStudentFile } from '@kestrel/models'
import { silentLog, UserError } from '@kestrel/runtime'
import { Command } from 'commander'

/** Drones in the order in which they join: every second one hovers over a calm scene, the others fly over what changes. */
const routes: Route[] = [
  { scenario: 'winter-forest', fromS: 20 },
  { scenario: 'quiet-farmland', fromS: 30, hovers: true },
  { scenario: 'dawn-coast', fromS: 20 },
  { scenario: 'winter-forest', fromS: 60, hovers: true },
  { scenario: 'four-seasons', fromS: 20 },
  { scenario: 'dawn-coast', fromS: 60, hovers: true },
]

const root = join(import.meta.dirname, '../..')
const policies = ['round-robin', 'gain-aware'] as const

interface Options {
  drones: string
  seconds: number
  teacher: string
  student: string
  set?: string[]
  costs?: string
  out: string
  quick?: boolean
}

/**
 * How many drones one ground station serves: each flight is flown alone and in fleets, on a virtual clock on which the ground's steps
 * take what they were measured to take on this machine. A fleet is served while its drones lose no more than one point of mIoU on
 * average to the same flights alone. Seven drones and more fly the same six routes again, with other seeds of training.
 *
 * The last line is JSON: dronesRoundRobin, dronesGainAware.
 */
export async function benchFleet(argv: string[]): Promise<void> {
  const command = new Command('fleet')
    .option('--drones <list>', 'sizes of the fleets', '2,4,6,8,10,12')
    .option('--seconds <n>', 'length of a flight', Number, 180)
    .option('--teacher <file>', 'whose labels take the time', join(root, 'models/teacher-aerial8.onnx'))
    .option('--student <file>', 'the student', join(root, 'models/student-aerial8-256x144.onnx'))
    .option('--costs <label,iteration,rest>', 's: instead of measuring them')
    .option('--set <key=value...>', 'settings of the sessions, as for evaluate')
    .option('--out <folder>', 'for fleet.svg and fleet.json', 'out/fleet')
    .option('--quick', 'two small fleets and short flights: does it run?')
    .parse(argv, { from: 'user' })
  const options = command.opts<Options>()
  const { seconds, sizes } = extent(options)
  const student = readStudentFile(resolve(options.student))
  const settings = readSettings(options.set)
  const engine = await createEngine(student, settings.training)
  const context: FleetContext = {
    student,
    engine: async () => engine,
    settings,
    seed: 1,
    threads: settings.training.threads,
    log: silentLog,
  }
  try {
    const { width, height } = student.input
    const frames = routes.slice(0, Math.max(...sizes)).map(route => {
      console.log(`drawing ${routeName(route)}`)
      return drawRoute(route, { seconds, width, height, classes: student.classes })
    })
    const costs = await stepCosts(options, frames[0], context)
    const alone = await flyAlone(frames, context, costs)
    const points: Record<string, FleetPoint[]> = {}
    for (const policy of policies) {
      points[policy] = [{ drones: 1, lost: 0 }]
      for (const size of sizes) {
        const fleet = fleetOptionsSchema.parse({ policy })
        const flights = Array.from({ length: size }, (_, i) => ({
          name: `${i}`,
          frames: frames[i % frames.length],
        }))
        const result = await flyFleet({ flights, fleet, costs, context })
        const losses = result.drones.map(({ miou }, i) => 100 * (alone[i % alone.length] - miou))
        const lost = losses.reduce((sum, each) => sum + each, 0) / size
        points[policy].push({ drones: size, lost })
        console.log(fleetLine(policy, size, lost, Math.max(...losses), result))
      }
    }
    mkdirSync(options.out, { recursive: true })
    const what = `student ${options.student.split('/').at(-1)}, flights of ${seconds} s; ${costLine(costs)}`
    writeFileSync(join(options.out, 'fleet.svg'), plotFleetSvg(points, what))
    writeFileSync(join(options.out, 'fleet.json'), `${JSON.stringify({ costs, alone, points }, null, 2)}\n`)
    console.log(`${join(options.out, 'fleet.svg')} shows it`)
    console.log(
      JSON.stringify({
        bench: 'fleet',
        seconds,
        costs,
        dronesRoundRobin: dronesServed(points['round-robin']),
        dronesGainAware: dronesServed(points['gain-aware']),
      }),
    )
  } finally {
    await engine.dispose()
  }
}

function extent({ drones, seconds, quick }: Options): { seconds: number; sizes: number[] } {
  const sizes = quick ? [2] : drones.split(',').map(Number)
  if (sizes.some(size => !(Number.isInteger(size) && size >= 2 && size <= 32)))
    throw new UserError(`--drones ${drones}: expected sizes from 2 to 32, such as 2,4,8`)
  const length = quick ? 30 : seconds
  if (!(Number.isInteger(length) && length >= 20)) throw new UserError('--seconds is a whole number from 20')
  return { seconds: length, sizes }
}

async function stepCosts(
  { costs, teacher }: Options,
  frames: RouteFrame[],
  context: FleetContext,
): Promise<StepCosts> {
  if (costs !== undefined) {
    const [labelS, iterationS, restS] = costs.split(',').map(Number)
    if (![labelS, iterationS, restS].every(cost => cost >= 0))
      throw new UserError(
        `--costs ${costs}: expected seconds of a label, an iteration and the rest of a phase, such as 0.1,0.2,0.3`,
      )
    return { labelS, iterationS, restS }
  }
  const measured = await measureStepCosts({ teacher: resolve(teacher), frames, phases: 5, context })
  console.log(`measured here: ${costLine(measured)}`)
  return measured
}

/** Each route by itself on the same machine, mIoU 0..1. */
async function flyAlone(frames: RouteFrame[][], context: FleetContext, costs: StepCosts): Promise<number[]> {
  const alone: number[] = []
  for (const [i, each] of frames.entries()) {
    const fleet = fleetOptionsSchema.parse({})
    const result = await flyFleet({ flights: [{ name: `${i}`, frames: each }], fleet, costs, context })
    const [{ miou, updates, phases, sampledFrames }] = result.drones
    alone.push(miou)
    console.log(
      `alone: ${routeName(routes[i])}: mIoU ${percent(miou)} %, ${phases} phases, ${updates} updates, ${sampledFrames} frames sampled, ` +
        `ground busy ${percent(result.load)} %`,
    )
  }
  return alone
}

function routeName({ scenario, fromS, hovers = false }: Route): string {
  return `${scenario} from ${fromS} s${hovers ? ', hovering' : ''}`
}

function costLine({ labelS, iterationS, restS }: StepCosts): string {
  const ms = (s: number) => `${(1000 * s).toFixed(0)} ms`
  return `a label ${ms(labelS)}, a training iteration ${ms(iterationS)}, the rest of a phase ${ms(restS)}`
}

function fleetLine(policy: string, size: number, lost: number, worst: number, result: FleetResult): string {
  const periods = result.periodsS.map(s => s.toFixed(0)).join(' ')
  return (
    `${policy}, ${size} drones: ${lost.toFixed(2)} points lost (worst ${worst.toFixed(2)}), ` +
    `mIoU ${result.drones.map(({ miou }) => percent(miou)).join(' ')} %, ground busy ${percent(result.load)} %, ` +
    `T_update at the end ${periods} s, ${result.segmentsDropped} segments dropped`
  )
}

function percent(ratio: number): string {
  return (100 * ratio).toFixed(1)
}
