import { parseConfig } from '@kestrel/runtime'
import { type Flight, missionSchema, planFlight, type VehicleState } from '@kestrel/simulator'
import { test } from 'tap'
import { hills, plan, roundTrip } from './flights.js'

const stepS = 0.005

/** States of the whole flight, one each 5 ms: four for each sample of the planned trajectory. */
function statesOf(flight: Flight): VehicleState[] {
  const count = Math.ceil(flight.durationS / stepS)
  return Array.from({ length: count }, (_, i) => flight.stateAt(i * stepS))
}

const wrap = (angle: number) => Math.atan2(Math.sin(angle), Math.cos(angle))

test('A flight is continuous: positions, velocities and attitudes fit each other and their limits', async t => {
  const states = statesOf(plan())
  const worst = { velocity: 0, across: 0, up: 0, jerk: 0, tilt: 0, rates: 0, jump: 0 }
  let before: { x: number; y: number; z: number } | undefined
  for (let i = 1; i + 1 < states.length; i++) {
    const [a, b, c] = [states[i - 1], states[i], states[i + 1]]
    for (const axis of ['x', 'y', 'z'] as const) {
      const slope = (c.position[axis] - a.position[axis]) / (2 * stepS)
      worst.velocity = Math.max(worst.velocity, Math.abs(slope - b.velocity[axis]))
    }
    const acceleration = {
      x: (c.velocity.x - a.velocity.x) / (2 * stepS),
      y: (c.velocity.y - a.velocity.y) / (2 * stepS),
      z: (c.velocity.z - a.velocity.z) / (2 * stepS),
    }
    worst.across = Math.max(worst.across, Math.hypot(acceleration.x, acceleration.y))
    worst.up = Math.max(worst.up, Math.abs(acceleration.z))
    // Over the 20 ms between two samples of the trajectory, within which the acceleration is a straight line.
    if (i % 4 === 0) {
      if (before !== undefined) {
        const change = Math.hypot(
          acceleration.x - before.x,
          acceleration.y - before.y,
          acceleration.z - before.z,
        )
        worst.jerk = Math.max(worst.jerk, change / 0.02)
      }
      before = acceleration
    }
    const { roll, pitch, yaw } = b.attitude
    worst.tilt = Math.max(worst.tilt, Math.abs(roll), Math.abs(pitch))
    worst.jump = Math.max(
      worst.jump,
      Math.abs(roll - a.attitude.roll),
      Math.abs(pitch - a.attitude.pitch),
      Math.abs(wrap(yaw - a.attitude.yaw)),
    )
    // Body rates are ω = (φ' - ψ' sin θ, ...): ask the rotation matrices instead, ω× = Rᵀ R'.
    const expected = bodyRatesOf(a, b, c)
    worst.rates = Math.max(
      worst.rates,
      Math.abs(expected.roll - b.rates.roll),
      Math.abs(expected.pitch - b.rates.pitch),
      Math.abs(expected.yaw - b.rates.yaw),
    )
  }
  t.comment(JSON.stringify(worst))
  t.ok(worst.velocity < 0.002, 'velocity is the derivative of the position')
  t.ok(worst.across > 2 && worst.across < 4.6, 'horizontal acceleration, gusts included')
  t.ok(worst.up < 3, 'vertical acceleration')
  t.ok(worst.jerk < 6, 'jerk')
  t.ok(worst.tilt > 0.15 && worst.tilt < 0.5, 'it banks, but never beyond 30°')
  t.ok(worst.jump < 0.01, 'no attitude jumps: under 0.6° in 5 ms')
  t.ok(worst.rates < 0.02, 'body rates are those of the rotation')
})

/** From finite differences of the rotation from body (forward, right, down) to north, east, down. */
function bodyRatesOf(a: VehicleState, b: VehicleState, c: VehicleState) {
  const [before, at, after] = [a, b, c].map(rotation)
  const skew = (row: number, column: number) => {
    let sum = 0
    for (let k = 0; k < 3; k++) {
      sum += (at[k][row] * (after[k][column] - before[k][column])) / (2 * stepS)
    }
    return sum
  }
  return { roll: skew(2, 1), pitch: skew(0, 2), yaw: skew(1, 0) }
}

function rotation({ attitude: { roll, pitch, yaw } }: VehicleState): number[][] {
  const [cr, sr] = [Math.cos(roll), Math.sin(roll)]
  const [cp, sp] = [Math.cos(pitch), Math.sin(pitch)]
  const [cy, sy] = [Math.cos(yaw), Math.sin(yaw)]
  return [
    [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
    [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
    [-sp, cp * sr, cp * cr],
  ]
}

test('It leans into its acceleration and turns its nose where it goes', async t => {
  const flight = plan()
  const circling = statesOf(flight).filter(
    ({ phase, missionItem, velocity }) =>
      phase === 'loiter' && missionItem === 3 && Math.hypot(velocity.x, velocity.y) > 5,
  )
  // Clockwise with 6 m/s on 35 m: 1.2 m/s² to the right is a bank of 7°, more or less for wind and gusts.
  const settled = circling.slice(Math.floor(circling.length * 0.3), Math.floor(circling.length * 0.9))
  const mean = settled.reduce((sum, { attitude }) => sum + attitude.roll, 0) / settled.length
  t.ok(mean > 0.08 && mean < 0.2, `banks right in a clockwise circle: ${mean}`)
  const cruising = flight.stateAt(22 + 15)
  t.equal(cruising.phase, 'mission')
  t.ok(cruising.attitude.pitch < -0.05, 'nose down at speed')
  const course = Math.atan2(cruising.velocity.x, cruising.velocity.y)
  t.ok(Math.abs(wrap(cruising.attitude.yaw - course)) < 0.06, 'nose along the course')
})

test('Waypoints are reached, in order, at their height and speed', async t => {
  const flight = plan()
  const states = statesOf(flight)
  for (const [index, item] of roundTrip.entries()) {
    if (item.type !== 'waypoint') continue
    const [last, first] = [
      states.findLast(s => s.missionItem <= index),
      states.find(s => s.missionItem >= index),
    ]
    t.ok(first && last)
    const near = states.filter(s => s.timeS >= first!.timeS && s.timeS <= last!.timeS + 3)
    const distance = Math.min(...near.map(s => Math.hypot(s.position.x - item.x, s.position.y - item.y)))
    t.ok(distance < 5, `waypoint ${index} passed within 5 m: ${distance.toFixed(2)}`)
    const nearest = near.find(
      s => Math.hypot(s.position.x - item.x, s.position.y - item.y) < distance + 0.01,
    )!
    const above = nearest.position.z - flight.homeZ - item.altitudeM
    t.ok(Math.abs(above) < 2.5, `at its height: ${above.toFixed(2)} m off`)
    const fastest = Math.max(...near.map(s => Math.hypot(s.velocity.x, s.velocity.y)))
    t.ok(fastest < item.speedMps + 3.2, 'no faster than asked, but for the leg after')
  }
  const items = states.map(s => s.missionItem)
  t.ok(
    items.every((item, i) => i === 0 || item === items[i - 1] || item === items[i - 1] + 1),
    'one item after the other',
  )
})

test('It stands, arms, climbs, flies, lands and stays landed', async t => {
  const flight = plan()
  t.equal(flight.homeZ, hills(0, 0))
  t.match(flight.stateAt(0), {
    armed: false,
    phase: 'ground',
    position: { x: 0, y: 0, z: flight.homeZ },
    velocity: { x: 0, y: 0, z: 0 },
    attitude: { roll: 0, pitch: 0 },
  })
  t.equal(flight.stateAt(4.99).armed, false)
  t.equal(flight.stateAt(5).armed, true)
  const phases = statesOf(flight).map(s => s.phase)
  t.same(
    phases.filter((phase, i) => phase !== phases[i - 1]),
    ['ground', 'take-off', 'mission', 'loiter', 'mission', 'loiter', 'return', 'landing', 'landed'],
  )
  const end = flight.stateAt(flight.durationS)
  t.match(end, { armed: false, phase: 'landed', missionItem: roundTrip.length - 1 })
  t.ok(Math.hypot(end.position.x, end.position.y) < 1e-6, 'at home')
  t.ok(Math.abs(end.position.z - flight.homeZ) < 1e-9)
  t.same({ ...flight.stateAt(flight.durationS + 1e5), timeS: 0 }, { ...end, timeS: 0 })
  t.same({ ...flight.stateAt(-3), timeS: 0 }, { ...flight.stateAt(0), timeS: 0 })
})

test('Between take-off and landing it keeps its clearance, however rough the ground', async t => {
  // A wall of 300 m within 80 m, a gorge, and knolls everywhere.
  const rough = (x: number, y: number) =>
    100 +
    300 / (1 + Math.exp((250 - x) / 15)) -
    150 / (1 + Math.exp((450 - x) / 10)) +
    8 * Math.sin(x / 9) * Math.cos(y / 7)
  const mission = missionSchema.parse([
    { type: 'take-off', altitudeM: 20 },
    { type: 'waypoint', x: 600, y: 40, altitudeM: 30, speedMps: 15 },
    { type: 'land' },
  ])
  for (const clearanceM of [15, 40]) {
    const flight = planFlight(mission, { groundHeight: rough, seed: 'rough', clearanceM })
    const aloft = statesOf(flight).filter(s => s.phase === 'mission')
    const least = Math.min(...aloft.map(s => s.position.z - rough(s.position.x, s.position.y)))
    t.ok(least >= clearanceM, `never below ${clearanceM} m: ${least.toFixed(2)}`)
    t.ok(least < clearanceM + 12, 'and not far above where the ground is what matters')
    const fastest = Math.max(...aloft.map(s => Math.abs(s.velocity.z)))
    t.ok(fastest < 3.3, 'within its rates of climb and descent')
    const end = flight.stateAt(flight.durationS)
    t.ok(Math.abs(end.position.z - rough(600, 40)) < 1e-6, 'lands where it is')
  }
})

test('Reversals, short legs and climbs on the spot stay within the limits', async t => {
  const mission = missionSchema.parse([
    { type: 'take-off', altitudeM: 30 },
    { type: 'waypoint', x: 200, y: 0, altitudeM: 30, speedMps: 18 },
    { type: 'waypoint', x: 0, y: 0, altitudeM: 30, speedMps: 18 },
    { type: 'waypoint', x: 8, y: 0, altitudeM: 30 },
    { type: 'waypoint', x: 8, y: 8, altitudeM: 30 },
    { type: 'waypoint', x: 0, y: 8, altitudeM: 30 },
    { type: 'waypoint', x: 0, y: 8, altitudeM: 90 },
    { type: 'loiter', seconds: 10, radiusM: 5 },
    { type: 'return' },
    { type: 'land' },
  ])
  const flight = planFlight(mission, { groundHeight: () => 0, seed: 3 })
  const states = statesOf(flight)
  let across = 0
  for (let i = 1; i + 1 < states.length; i++) {
    const dx = (states[i + 1].velocity.x - states[i - 1].velocity.x) / (2 * stepS)
    const dy = (states[i + 1].velocity.y - states[i - 1].velocity.y) / (2 * stepS)
    across = Math.max(across, Math.hypot(dx, dy))
  }
  t.ok(across < 4.6, `horizontal acceleration ${across.toFixed(2)}`)
  t.ok(Math.max(...states.map(s => s.position.z)) > 88, 'climbs to 90 m')
  t.equal(flight.stateAt(flight.durationS).phase, 'landed')
})

test('The same seed flies the same to the last bit, in whatever order it is asked; another seed does not', async t => {
  const times = Array.from({ length: 400 }, (_, i) => (i * 7.3) % 250)
  const one = plan(7)
  const forwards = times.map(time => one.stateAt(time))
  const other = plan(7)
  const backwards = times.toReversed().map(time => other.stateAt(time))
  t.equal(JSON.stringify(forwards), JSON.stringify(backwards.toReversed()))
  const another = plan(8)
  t.not(JSON.stringify(forwards), JSON.stringify(times.map(time => another.stateAt(time))))
  const apart = Math.max(
    ...times.map(time => Math.hypot(another.stateAt(time).position.x - one.stateAt(time).position.x)),
  )
  t.ok(apart < 1.5, 'gusts differ, the way does not')
})

test('A mission that cannot be flown is refused with what was expected', async t => {
  const refuse = (mission: unknown, expected: RegExp) =>
    t.throws(() => parseConfig(mission, missionSchema, 'mission.yaml'), expected)
  const takeOff = { type: 'take-off', altitudeM: 30 }
  refuse([], /at least a take-off and a landing/)
  refuse([{ type: 'land' }, { type: 'land' }], /begin with a take-off/)
  refuse([takeOff, { type: 'hover' }, { type: 'land' }], /expected a "type" of take-off, waypoint/)
  refuse(
    [takeOff, { type: 'waypoint', x: 0, y: 0, altitudeM: 2 }, { type: 'land' }],
    /at least 5 m above home/,
  )
  refuse([takeOff, { type: 'waypoint', x: 0, y: 9e5, altitudeM: 20 }, { type: 'land' }], /at most 50 km/)
  refuse([takeOff, { type: 'waypoint', x: 0, y: 0, altitudeM: 20 }], /end with return or land/)
  refuse(
    [takeOff, { type: 'return' }, { type: 'loiter', seconds: 3 }, { type: 'land' }],
    /nothing after the return/,
  )
  refuse(
    [takeOff, { type: 'loiter', seconds: 3, radiusM: 2 }, { type: 'land' }],
    /0 \(hover\) or at least 5 m/,
  )
  refuse([takeOff, { type: 'land', altitude: 3 }], /unknown key/)
  refuse([takeOff, takeOff, { type: 'land' }], /only one take-off/)
  // A landing place above everything: the floor lifts the vehicle over it, so that this always works.
  const up = missionSchema.parse([
    takeOff,
    { type: 'waypoint', x: 300, y: 0, altitudeM: 30 },
    { type: 'land' },
  ])
  const flight = planFlight(up, { groundHeight: x => x, seed: 1 })
  t.ok(Math.abs(flight.stateAt(flight.durationS).position.z - 300) < 1e-6)
})
