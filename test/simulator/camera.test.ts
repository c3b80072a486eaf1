import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openCamera } from '@kestrel/agent'
import { openTeacher } from '@kestrel/ground-station'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import {
  aerialClasses,
  aerialPalette,
  loadScenario,
  type Scenario,
  SimCamera,
  scenarioNames,
  type VehicleState,
} from '@kestrel/simulator'
import t from 'tap'

t.setTimeout(300_000)

const size = { width: 128, height: 72 }

function digest({ image, labels }: ReturnType<SimCamera['render']>): string {
  return createHash('sha256').update(image.data).update(labels.data).digest('hex')
}

t.test('a frame depends on scenario and time only', async t => {
  const scenario = loadScenario('valley-to-town')
  const forward = new SimCamera(scenario, size)
  const times = [30, 150]
  const first = times.map(at => digest(forward.render(at)))
  const backward = new SimCamera(scenario, size)
  const second = times.toReversed().map(at => digest(backward.render(at)))
  t.strictSame(second.toReversed(), first, 'in any order')
  const script = `
    import { createHash } from 'node:crypto'
    import { loadScenario, SimCamera } from '@kestrel/simulator'
    const { image, labels } = new SimCamera(loadScenario('valley-to-town'), ${JSON.stringify(size)}).render(150)
    console.log(createHash('sha256').update(image.data).update(labels.data).digest('hex'))`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  t.equal(stdout.trim(), first[1], 'in another process')
  t.not(
    digest(new SimCamera({ ...scenario, seed: 5 }, size).render(150)),
    first[1],
    'another seed, another world',
  )
})

/** A vehicle that hangs in the air. */
function hovering(position: VehicleState['position'], yaw = 0): VehicleState {
  const still = { roll: 0, pitch: 0, yaw: 0 }
  return {
    timeS: 0,
    position,
    velocity: { x: 0, y: 0, z: 0 },
    attitude: { ...still, yaw },
    rates: still,
    armed: false,
    phase: 'mission',
    missionItem: 1,
  }
}

/** A scenario with nothing but sea, so that the horizon is a line. */
function atSea(pitchDeg: number): Scenario {
  const scenario = loadScenario('dawn-coast')
  return {
    ...scenario,
    camera: { ...scenario.camera, distortion: 0, pitch: [{ atS: 0, pitchDeg }] },
    world: { ...scenario.world, regions: [{ kind: 'coast', x: 0, y: 0 }], relief: 0 },
  }
}

t.test('the horizon is where a pinhole camera has it', async t => {
  for (const pitchDeg of [0, -10, -20, 8]) {
    const { labels } = new SimCamera(atSea(pitchDeg), { width: 160, height: 120 }).render(
      0,
      hovering({ x: 0, y: 0, z: 60 }),
    )
    const focal = 80 / Math.tan((39 * Math.PI) / 180)
    // Seen from 60 m over a plane that ends after 6 km.
    const dip = Math.atan(60 / 6000)
    const expected = 60 - focal * Math.tan((-pitchDeg * Math.PI) / 180 - dip)
    for (const column of [2, 80, 157]) {
      const found = Array.from({ length: 120 }, (_, y) => labels.data[y * 160 + column]).findLastIndex(
        label => aerialClasses[label] === 'sky',
      )
      t.ok(
        Math.abs(found + 0.5 - expected) <= 1.5,
        `pitch ${pitchDeg}: row ${found}, expected ${expected.toFixed(1)}`,
      )
    }
  }
})

t.test('what lies on the ground is seen where geometry says', async t => {
  // A road that is straight ahead must run through the same ground points in a high and a low picture.
  const scenario = loadScenario('quiet-farmland')
  const flat: Scenario = {
    ...scenario,
    camera: { ...scenario.camera, distortion: 0, pitch: [{ atS: 0, pitchDeg: -90 }] },
    world: { ...scenario.world, rivers: false, relief: 0.02 },
  }
  const [width, height] = [160, 120]
  const focal = 80 / Math.tan((39 * Math.PI) / 180)
  const camera = new SimCamera(flat, { width, height })
  const low = camera.render(0, hovering({ x: 0, y: 0, z: 100 })).labels.data
  const moved = camera.render(0, hovering({ x: 30, y: 20, z: 100 })).labels.data
  const turned = camera.render(0, hovering({ x: 0, y: 0, z: 100 }, Math.PI / 2)).labels.data
  // Straight down, north is up: 30 m east is so many pixels to the left in the picture from there.
  const perM = focal / 99.5
  let [same, sameTurned, all] = [0, 0, 0]
  for (let y = 30; y < 90; y += 3) {
    for (let x = 60; x < 110; x += 3) {
      const [mx, my] = [Math.round(x - 30 * perM), Math.round(y + 20 * perM)]
      if (mx < 0 || my >= height) continue
      all++
      if (low[y * width + x] === moved[my * width + mx]) same++
      // Heading east, what was to the right is up.
      const [dx, dy] = [x + 0.5 - width / 2, y + 0.5 - height / 2]
      const [tx, ty] = [Math.floor(width / 2 + dy), Math.floor(height / 2 - dx)]
      if (low[y * width + x] === turned[ty * width + tx]) sameTurned++
    }
  }
  t.ok(same / all > 0.9, `${same} of ${all} after moving`)
  t.ok(sameTurned / all > 0.9, `${sameTurned} of ${all} after turning`)
  t.ok(new Set(low).size > 1, 'there is more than one class to tell')
})

t.test('all classes occur, and nothing else; vehicles move', async t => {
  const seen = new Set<number>()
  const coast = new SimCamera(loadScenario('dawn-coast'), size)
  for (let at = 20; at < coast.flight.durationS - 20; at += 90) {
    for (const label of coast.render(at).labels.data) seen.add(label)
  }
  t.strictSame(
    [...seen].sort(),
    aerialClasses.map((_, i) => i),
  )
  t.equal(aerialPalette.length, aerialClasses.length)
  const camera = new SimCamera(loadScenario('valley-to-town'), size)
  const state = camera.flight.stateAt(200)
  const cars = (at: number) => camera.render(at, state).labels.data.map(label => (label === 4 ? 1 : 0))
  t.notSame(cars(200), cars(203), 'from the same place, three seconds later')
})

t.test('scenarios: held-out ones are told, wrong ones say what is wrong', async t => {
  const scenarios = scenarioNames().map(loadScenario)
  for (const { name, heldOut, trains } of scenarios) {
    t.notOk(heldOut && trains.length > 0, `${name} is not both judged on and trained on`)
  }
  t.ok(scenarios.filter(({ heldOut }) => heldOut).length >= 2)
  const seeds = scenarios.map(({ seed }) => seed)
  t.equal(new Set(seeds).size, seeds.length, 'no two have the same world')
  t.throws(() => loadScenario('moon'), { name: 'UserError', message: /no scenario moon.*valley-to-town/ })
  const file = join(t.testdir(), 'mine.yaml')
  writeFileSync(file, 'name: mine\nsed: 4\n')
  t.throws(() => loadScenario(file), { message: /unknown key "sed": did you mean "seed"/ })
})

t.test('sim: is a camera, labels:sim: its labels', async t => {
  const source = 'sim:valley-to-town?fps=2&from=60&to=62&size=128x72'
  const camera = await openCamera({
    source,
    pace: 'as-fast-as-possible',
    clock: new RealClock(),
    log: silentLog,
  })
  await camera.start()
  const frames = []
  for (let frame = await camera.next(); frame !== undefined; frame = await camera.next()) frames.push(frame)
  await camera.stop()
  t.strictSame(
    frames.map(({ sourceIndex }) => sourceIndex),
    [0, 1, 2, 3],
  )
  const direct = new SimCamera(loadScenario('valley-to-town'), size)
  t.same(
    frames[3].image.data,
    direct.render(61.5).image.data,
    'drawn on another thread, the same to the byte',
  )
  const studentClasses = ['sky', 'land', 'forest']
  const teacher = await openTeacher(`labels:${source}`, { studentClasses, log: silentLog })
  t.teardown(() => teacher.release())
  const labels = await teacher.label(frames[3].image, { sourceIndex: 3, captureMs: 0 })
  const expected = direct.render(61.5).labels.data.map(label => {
    const at = studentClasses.indexOf(aerialClasses[label])
    return at < 0 ? 255 : at
  })
  t.same(labels.data, expected)
  await t.rejects(teacher.label(frames[0].image, { sourceIndex: 4, captureMs: 0 }), UserError)
  for (const wrong of [
    'sim:nowhere',
    'sim:valley-to-town?fsp=2',
    'sim:valley-to-town?size=9',
    'sim:valley-to-town?fps=x',
  ]) {
    await t.rejects(
      openCamera({ source: wrong, pace: 'as-fast-as-possible', clock: new RealClock(), log: silentLog }),
      UserError,
      wrong,
    )
  }
})

t.test('a live flight shows the present, wherever one joins it', async t => {
  const clock = new RealClock()
  const epoch = Math.round(clock.nowMs() - 100_000)
  const source = `sim:quiet-farmland?fps=5&size=64x36&epoch=${epoch}`
  const camera = await openCamera({ source, pace: 'real-time', clock, log: silentLog })
  const beganS = (clock.nowMs() - epoch) / 1000
  await camera.start()
  const frame = await camera.next()
  await camera.stop()
  const timeS = frame!.sourceIndex / 5
  t.ok(timeS >= beganS - 0.2 && timeS <= beganS + 60, `joined at ${beganS} s, shown ${timeS} s`)
  const direct = new SimCamera(loadScenario('quiet-farmland'), { width: 64, height: 36 })
  t.same(frame!.image.data, direct.render(timeS).image.data)
  const over = `sim:quiet-farmland?fps=5&size=64x36&epoch=${Math.round(clock.nowMs() - 3_600_000)}`
  const late = await openCamera({ source: over, pace: 'real-time', clock, log: silentLog })
  await late.start()
  t.equal(await late.next(), undefined, 'a flight that is over has no frames')
  await late.stop()
})
