import { dronesServed, type FleetContext, flyFleet, plotFleetSvg, readSettings } from '@kestrel/evaluate'
import { createEngine, fleetOptionsSchema } from '@kestrel/ground-station'
import { silentLog } from '@kestrel/runtime'
import t from 'tap'
import { colourTeacher, tinyStudent, worldImage } from '../support/ground.js'

t.setTimeout(600_000)

const SECONDS = 18

async function setUp() {
  const student = tinyStudent()
  const settings = readSettings([
    'updatePeriodS=4',
    'iterations=6',
    'batchSize=4',
    'alpha=0.005',
    'fraction=0.2',
    'holdOutFraction=0',
    'training.threads=1',
  ])
  const engine = await createEngine(student, { threads: 1 })
  const context: FleetContext = {
    student,
    engine: async () => engine,
    settings,
    seed: 1,
    threads: 1,
    log: silentLog,
  }
  const teacher = colourTeacher()
  const flight = async (first: number) =>
    Promise.all(
      Array.from({ length: SECONDS }, async (_, i) => {
        const image = worldImage(first + i)
        return { image, labels: await teacher.label(image, { sourceIndex: i, captureMs: 0 }) }
      }),
    )
  const flights = [
    { name: 'a', frames: await flight(0) },
    { name: 'b', frames: await flight(100) },
  ]
  return { context, flights, engine }
}

t.test('drones share the ground for as long as its steps take', async t => {
  const { context, flights, engine } = await setUp()
  t.teardown(() => engine.dispose())
  const fleet = fleetOptionsSchema.parse({ policy: 'round-robin' })
  const cheap = { labelS: 0.01, iterationS: 0.01, restS: 0.05 }
  const costly = { labelS: 0.2, iterationS: 0.6, restS: 0.4 }
  const fly = (costs: typeof cheap, count = 2) =>
    flyFleet({ flights: flights.slice(0, count), fleet, costs, context })
  const first = await fly(cheap)
  t.ok(
    first.drones.every(({ updates, phases }) => updates >= 2 && phases >= 3),
    JSON.stringify(first),
  )
  t.same(first.periodsS, [4, 4], 'there is time for all')
  t.ok(first.load < 0.2)
  t.same(await fly(cheap), first, 'the same again')
  const short = await fly(costly)
  t.ok(short.load > 0.6 && short.load <= 1, `${short.load} of the time`)
  t.ok(
    short.periodsS.every(periodS => periodS > 6),
    `T_update ${short.periodsS} s`,
  )
  const phases = (of: typeof first) => of.drones.reduce((sum, each) => sum + each.phases, 0)
  t.ok(phases(short) < phases(first), `${phases(short)} phases instead of ${phases(first)}`)
  t.ok(
    short.drones.every(each => each.phases >= 1),
    'every drone is taught',
  )
  const miou = (of: typeof first) => of.drones.reduce((sum, each) => sum + each.miou, 0) / of.drones.length
  t.ok(miou(first) > miou(short), `less learning is worse: ${miou(first)}, ${miou(short)}`)
})

t.test('what is served, and how it is drawn', async t => {
  const points = [
    { drones: 8, lost: 0.5 },
    { drones: 1, lost: 0 },
    { drones: 4, lost: 0.9 },
    { drones: 6, lost: 1.2 },
  ]
  t.equal(dronesServed(points), 4, 'what is served beyond a number that is not is luck')
  t.equal(dronesServed(points.filter(({ lost }) => lost < 1)), 8)
  t.equal(dronesServed([{ drones: 2, lost: 3 }]), 1, 'one is always served')
  const svg = plotFleetSvg({ 'round-robin': points, 'gain-aware': points }, 'a test')
  t.match(svg, /^<svg[\s\S]*round-robin[\s\S]*<\/svg>$/)
  t.match(svg, /1 point/)
})
