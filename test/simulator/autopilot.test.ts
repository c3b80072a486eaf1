import { createHash } from 'node:crypto'
import { fromGeodetic } from '@kestrel/simulator'
import { test } from 'tap'
import { listenTo, startMs } from './ear.js'
import { hills, home, plan, roundTrip } from './flights.js'

const flight = plan()

/** A whole flight as it is heard, frame by frame through the parser that knows nothing of the packing library. */
async function hear() {
  const { autopilot, ears, flyTo } = await listenTo(flight)
  await flyTo(flight.durationS + 2)
  await autopilot.stop()
  return ears[0]
}

test('A whole flight is parsed without an error, and nothing is missing', async t => {
  // Ear parses every frame and throws at the first that breaks a rule.
  const ear = await hear()
  t.ok(flight.durationS > 180, `${flight.durationS.toFixed(0)} s`)
  t.ok(ear.heard.length > 4000, `${ear.heard.length} frames`)
  t.ok(
    ear.heard.every(({ sequence }, i) => sequence === i % 256),
    'sequence numbers without a gap',
  )
  t.ok(ear.heard.every(({ system, component }) => system === 1 && component === 1))
  for (const [name, hz] of Object.entries({
    HEARTBEAT: 1,
    SYS_STATUS: 2,
    SYSTEM_TIME: 2,
    GPS_RAW_INT: 2,
    ATTITUDE: 4,
    LOCAL_POSITION_NED: 4,
    GLOBAL_POSITION_INT: 4,
    MISSION_CURRENT: 2,
    VFR_HUD: 4,
    BATTERY_STATUS: 2,
    EXTENDED_SYS_STATE: 1,
  })) {
    const wanted = (flight.durationS + 2) * hz
    const count = ear.named(name).length
    t.ok(Math.abs(count - wanted) <= 3, `${name}: ${count} of ${wanted.toFixed(0)}`)
  }
})

test('Position and attitude are exactly those of the flight at the time that the message tells', async t => {
  const ear = await hear()
  let [off, tilt] = [0, 0]
  for (const { values } of ear.named('GLOBAL_POSITION_INT')) {
    const state = flight.stateAt(Number(values.time_boot_ms) / 1000)
    const place = { latitude: Number(values.lat) / 1e7, longitude: Number(values.lon) / 1e7 }
    const { x, y } = fromGeodetic(home, place)
    // 1e-7° is 11 mm.
    off = Math.max(off, Math.hypot(x - state.position.x, y - state.position.y))
    t.equal(values.alt, Math.round(state.position.z * 1000))
    t.equal(values.relative_alt, Math.round((state.position.z - hills(0, 0)) * 1000))
    t.equal(values.vx, 0 + Math.round(state.velocity.y * 100), 'vx is north')
    t.equal(values.vy, 0 + Math.round(state.velocity.x * 100), 'vy is east')
    t.equal(values.vz, 0 + Math.round(-state.velocity.z * 100), 'vz is down')
    const heading = ((state.attitude.yaw * 180) / Math.PI + 360) % 360
    const apart = Math.abs(Number(values.hdg) / 100 - heading)
    t.ok(Math.min(apart, 360 - apart) <= 0.0051)
  }
  t.ok(off < 0.009, `${off} m`)
  for (const { values, atMs } of ear.named('ATTITUDE')) {
    t.equal(values.time_boot_ms, Math.floor(atMs), 'time of sending')
    const { attitude, rates } = flight.stateAt(Number(values.time_boot_ms) / 1000)
    for (const [name, angle] of Object.entries(attitude))
      tilt = Math.max(tilt, Math.abs(Number(values[name]) - angle))
    for (const [name, rate] of Object.entries(rates))
      tilt = Math.max(tilt, Math.abs(Number(values[`${name}speed`]) - rate))
  }
  t.ok(tilt < 3e-7, 'to the precision of a float32')
  for (const { values } of ear.named('LOCAL_POSITION_NED')) {
    const { position, velocity } = flight.stateAt(Number(values.time_boot_ms) / 1000)
    t.equal(values.x, Math.fround(position.y))
    t.equal(values.y, Math.fround(position.x))
    t.equal(values.z, Math.fround(flight.homeZ - position.z))
    t.equal(values.vz, 0 + Math.fround(-velocity.z))
  }
})

test('State, mission and texts follow the flight', async t => {
  const ear = await hear()
  for (const { values, atMs } of ear.named('HEARTBEAT')) {
    const { armed, phase } = flight.stateAt(Math.floor(atMs) / 1000)
    t.match(values, {
      type: 2,
      autopilot: 3,
      mavlink_version: 3,
      custom_mode: armed || phase === 'landed' ? 3 : 0,
    })
    t.equal((Number(values.base_mode) & 128) !== 0, armed)
    t.equal((Number(values.base_mode) & 1) !== 0, true)
    t.equal(values.system_status, phase === 'ground' || phase === 'landed' ? 3 : 4)
  }
  const landed = ear.named('EXTENDED_SYS_STATE').map(({ values }) => values.landed_state)
  t.same(
    landed.filter((state, i) => state !== landed[i - 1]),
    [1, 3, 2, 4, 1],
    'on the ground, take-off, in the air, landing, on the ground',
  )
  // Home, take-off, speed, waypoint, speed, waypoint, loiter, speed, waypoint, speed, waypoint, loiter, speed, return.
  const currents = ear.named('MISSION_CURRENT').map(({ values }) => Number(values.seq))
  t.same(
    currents.filter((seq, i) => seq !== currents[i - 1]),
    [1, 3, 5, 6, 8, 10, 11, 13],
  )
  t.same(
    ear.named('MISSION_ITEM_REACHED').map(({ values }) => values.seq),
    [1, 3, 5, 6, 8, 10, 11, 13],
  )
  t.same(
    ear.named('STATUSTEXT').map(({ values }) => values.text),
    [
      'Kestrel simulator, speaking as ArduCopter V4.5.7',
      'Arming motors',
      'Mode AUTO',
      'Mission: 1 Takeoff',
      'Reached command #1',
      'Mission: 3 WP',
      'Reached command #3',
      'Mission: 5 WP',
      'Reached command #5',
      'Mission: 6 LoiterTime',
      'Reached command #6',
      'Mission: 8 WP',
      'Reached command #8',
      'Mission: 10 WP',
      'Reached command #10',
      'Mission: 11 LoiterTime',
      'Reached command #11',
      'Mission: 13 RTL',
      'Land: descending',
      'Reached command #13',
      'Land complete',
      'Disarming motors',
    ],
  )
  t.equal(roundTrip.length, 8)
})

test('Every field is one that a ground station can believe', async t => {
  const ear = await hear()
  const within = (name: string, field: string, low: number, high: number) => {
    const values = ear.named(name).map(frame => Number(frame.values[field]))
    const [least, most] = [Math.min(...values), Math.max(...values)]
    t.ok(values.length > 0 && least >= low && most <= high, `${name}.${field}: ${least}..${most}`)
  }
  within('GPS_RAW_INT', 'fix_type', 3, 3)
  within('GPS_RAW_INT', 'satellites_visible', 6, 30)
  within('GPS_RAW_INT', 'eph', 50, 200)
  within('GPS_RAW_INT', 'vel', 0, 1500)
  within('GPS_RAW_INT', 'cog', 0, 35999)
  within('GPS_RAW_INT', 'alt', 600_000, 720_000)
  within('GLOBAL_POSITION_INT', 'hdg', 0, 35999)
  within('VFR_HUD', 'throttle', 0, 100)
  within('VFR_HUD', 'heading', 0, 359)
  within('VFR_HUD', 'groundspeed', 0, 15)
  within('VFR_HUD', 'climb', -3, 4)
  within('ATTITUDE', 'yaw', -Math.PI, Math.PI)
  within('SYS_STATUS', 'voltage_battery', 20_000, 25_500)
  within('SYS_STATUS', 'current_battery', 0, 6000)
  within('SYS_STATUS', 'battery_remaining', 80, 100)
  within('SYS_STATUS', 'load', 1, 1000)
  within('BATTERY_STATUS', 'battery_remaining', 80, 100)
  const consumed = ear.named('BATTERY_STATUS').map(({ values }) => Number(values.current_consumed))
  t.ok(
    consumed.every((mah, i) => i === 0 || mah >= consumed[i - 1]),
    'a battery is not charged in flight',
  )
  // Charge is the integral of the current that SYS_STATUS tells.
  const currents = ear.named('SYS_STATUS').map(({ values }) => Number(values.current_battery) / 100)
  const integral = currents.reduce((sum, current) => sum + (current * 0.5) / 3.6, 0)
  t.ok(
    Math.abs(integral / consumed.at(-1)! - 1) < 0.02,
    `${consumed.at(-1)} mAh, ${integral.toFixed(0)} by sum`,
  )
  for (const { values } of ear.named('BATTERY_STATUS')) {
    const cells = values.voltages as number[]
    t.ok(cells.slice(0, 6).every(mv => mv > 3300 && mv < 4250) && cells.slice(6).every(mv => mv === 0xffff))
  }
  const times = ear.named('SYSTEM_TIME')
  t.ok(
    times.every(({ values, atMs }) => Number(values.time_unix_usec) === Math.floor((startMs + atMs) * 1000)),
  )
})

test('The bytes of a flight are the same for its seed, and others for another', async t => {
  const digest = async (seed: number) => {
    const { autopilot, ears, flyTo } = await listenTo(plan(seed))
    await flyTo(60)
    await autopilot.stop()
    return createHash('sha256').update(Buffer.concat(ears[0].bytes)).digest('hex')
  }
  const one = await digest(1)
  t.equal(await digest(1), one)
  t.not(await digest(2), one)
})
