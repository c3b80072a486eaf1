import { angleBetween } from '@kestrel/agent'
import { fromGeodetic } from '@kestrel/simulator'
import { test } from 'tap'
import { home, plan } from '../simulator/flights.js'
import type { Frame } from '../support/mavlink.js'
import { autopilot1, companion, copterBeat, startMs } from './vehicle-world.js'

const SET_MESSAGE_INTERVAL = 511
const [USER_1, USER_2, USER_3] = [31_010, 31_011, 31_012]
const [ACCEPTED, DENIED, UNSUPPORTED, FAILED, IN_PROGRESS] = [0, 2, 3, 4, 5]

test('With the simulator: found, asked for its rates, and every moment of the flight has its pose', async t => {
  const flight = plan()
  const { vehicle, flyTo, autopilot, log, ours, clock } = await companion()
  const other = await autopilot(flight)
  let [off, tilt, missing, moments] = [0, 0, 0, 0]
  for (let s = 4; s < flight.durationS; s += 0.337) {
    await flyTo(s)
    moments += 1
    // A frame that was taken half a second ago, as a segment asks.
    const pose = vehicle.poseAt(clock.nowMs() - 500)
    const state = flight.stateAt(s - 0.5)
    if (pose?.position === undefined || pose.attitude === undefined) {
      missing += 1
      continue
    }
    const { x, y } = fromGeodetic(home, pose.position)
    off = Math.max(off, Math.hypot(x - state.position.x, y - state.position.y))
    tilt = Math.max(tilt, angleBetween(pose.attitude, state.attitude))
    off = Math.max(off, Math.abs(pose.position.altitudeM - state.position.z))
  }
  t.equal(missing, 0, `${moments} moments`)
  t.ok(off < 0.05, `${off.toFixed(3)} m at most`)
  t.ok(tilt < 0.02, `${tilt.toFixed(4)} rad at most`)
  t.match(vehicle.autopilot, { system: 1, kind: 'ArduCopter' })
  t.ok(log.lines.includes('info: Armed, mode AUTO'))
  t.ok(vehicle.state.battery.volts! > 20)
  t.match(vehicle.state.gps, { fix: 3, satellites: 14 })
  const asked = ours.sent.filter(frame => frame.readUIntLE(7, 3) === 76)
  t.equal(asked.length, 3, 'each rate was asked for once')
  await vehicle.stop()
  await other.stop()
})

test('Heartbeats: once a second, as a part of the vehicle, and none to a stranger', async t => {
  const { flyTo, listen, named, say, vehicle, heard } = await companion()
  await listen()
  await flyTo(3.5)
  t.same(
    named('HEARTBEAT').map(({ system, component }) => [system, component]),
    [1, 1, 1].map(system => [system, 191]),
    'a silent line may wait for us to speak first',
  )
  say('HEARTBEAT', { type: 6, autopilot: 8, mavlink_version: 3 })
  await flyTo(8.5)
  t.equal(named('HEARTBEAT').length, 3, 'a ground station is no vehicle')
  say('HEARTBEAT', copterBeat, { system: 42, component: 1 })
  heard.length = 0
  for (let s = 9; s <= 39; s++) {
    await flyTo(s)
    say('HEARTBEAT', copterBeat, { system: 42, component: 1 })
  }
  const beats = named('HEARTBEAT')
  t.ok(Math.abs(beats.length - 31) <= 1, `${beats.length} in 31 s`)
  t.ok(beats.every(({ system, component }) => system === 42 && component === 191))
  t.match(beats[0].values, { type: 18, autopilot: 8, base_mode: 0, system_status: 4, mavlink_version: 3 })
  t.ok(
    heard.every(({ sequence }, i) => i === 0 || sequence === ((heard[i - 1].sequence + 1) & 255)),
    'one count over all messages',
  )
  await vehicle.stop()
})

test('Lost acknowledgements are asked for again; a reboot asks for everything', async t => {
  const { flyTo, listen, named, say, vehicle, log } = await companion()
  await listen()
  say('HEARTBEAT', copterBeat, autopilot1)
  const beat = (bootMs: number) => {
    say('HEARTBEAT', copterBeat, autopilot1)
    say('SYSTEM_TIME', { time_boot_ms: bootMs }, autopilot1)
  }
  const asked = () => named('COMMAND_LONG').map(({ values }) => [values.param1, values.confirmation])
  const acknowledge = (from = autopilot1, more = {}) =>
    say('COMMAND_ACK', { command: SET_MESSAGE_INTERVAL, result: 0, ...more }, from)
  beat(60_000)
  await flyTo(1.5)
  beat(61_500)
  t.same(asked(), [
    [30, 0],
    [30, 1],
  ])
  acknowledge({ system: 2, component: 1 })
  acknowledge(autopilot1, { target_system: 255, target_component: 190 })
  t.equal(asked().length, 2, 'answers of others, and to others, are not ours')
  acknowledge(autopilot1, { target_system: 1, target_component: 191 })
  acknowledge()
  acknowledge()
  t.same(asked().slice(2), [
    [33, 0],
    [245, 0],
  ])
  t.match(named('COMMAND_LONG')[0].values, {
    command: 511,
    target_system: 1,
    target_component: 1,
    param2: 50_000,
  })
  await flyTo(2.5)
  beat(900)
  await flyTo(3)
  t.same(asked()[4], [30, 0])
  t.ok(log.lines.some(line => /started anew/.test(line)))
  await vehicle.stop()
})

test('An autopilot that goes and comes is said once each time; its line may go with it', async t => {
  const { flyTo, listen, say, vehicle, log, ours, named } = await companion()
  await listen()
  const about = () => log.lines.filter(line => /The autopilot/.test(line)).map(line => line.slice(0, 27))
  for (let s = 0; s < 10; s++) {
    say('HEARTBEAT', copterBeat, autopilot1)
    await flyTo(s)
  }
  await flyTo(600)
  t.same(about(), ['info: The autopilot is ther', 'warn: The autopilot is gone'])
  t.equal(vehicle.autopilot, undefined)
  const before = named('COMMAND_LONG').length
  t.ok(named('HEARTBEAT').length > 590, 'we are still there')
  say('HEARTBEAT', copterBeat, autopilot1)
  await flyTo(601)
  t.ok(named('COMMAND_LONG').length > before, 'its rates are asked for again')
  ours.close()
  t.equal(vehicle.autopilot, undefined, 'at once')
  t.equal(about().length, 4)
  await vehicle.stop()
})

/** Whose messages are followed, and whose are not. */
test('Behind a router: other vehicles change nothing, nothing is passed on, our own words are not taken for others', async t => {
  const { flyTo, listen, say, vehicle, heard, ours } = await companion()
  await listen()
  say('HEARTBEAT', copterBeat, autopilot1)
  await flyTo(1)
  say('ATTITUDE', { time_boot_ms: 5000, roll: 0.1, yaw: 1 }, autopilot1)
  const position = { time_boot_ms: 5000, lat: 465_000_000, lon: 72_500_000, relative_alt: 1000 }
  say('GLOBAL_POSITION_INT', position, autopilot1)
  const before = structuredClone([vehicle.state.motion, vehicle.state.position])
  for (const from of [
    { system: 2, component: 1 },
    { system: 1, component: 154 },
    { system: 255, component: 190 },
  ]) {
    say('ATTITUDE', { time_boot_ms: 5001, roll: 1, yaw: 2 }, from)
    say('GLOBAL_POSITION_INT', { ...position, time_boot_ms: 5001, lat: 1 }, from)
    say('HEARTBEAT', { ...copterBeat, base_mode: 0 }, { ...from, component: from.component === 1 ? 1 : 2 })
  }
  t.same([vehicle.state.motion, vehicle.state.position], before)
  t.equal(vehicle.autopilot?.armed, true)
  const { length } = heard
  const to = (system: number, component: number) => ({ target_system: system, target_component: component })
  say('COMMAND_LONG', { command: USER_1, ...to(2, 191) })
  say('COMMAND_LONG', { command: USER_1, ...to(1, 1) })
  say('COMMAND_LONG', { command: USER_1, ...to(1, 0) })
  say('PARAM_REQUEST_LIST', to(2, 0))
  say('PARAM_REQUEST_LIST', to(1, 1))
  say('PARAM_SET', { param_id: 'KES_LEARN', param_value: 0, ...to(1, 1) })
  say('PING', { seq: 4 })
  t.equal(heard.length, length, 'silence')
  t.equal(vehicle.autopilot?.system, 1)
  // A line wired back to itself.
  for (const frame of ours.sent.slice()) ours.hear(frame)
  t.equal(heard.length, length)
  await vehicle.stop()
})

test("A pilot's parameters: listed, read, set, kept in their range, told to all", async t => {
  const { flyTo, listen, say, vehicle, named, pilot } = await companion()
  await listen()
  const to = { target_system: 1, target_component: 191 }
  say('PARAM_REQUEST_LIST', to)
  t.equal(named('PARAM_VALUE').length, 0, 'before the vehicle is known we are nobody')
  say('HEARTBEAT', copterBeat, autopilot1)
  await flyTo(1)
  say('PARAM_REQUEST_LIST', { target_system: 1, target_component: 0 })
  const listed = named('PARAM_VALUE').map(({ values }) => values)
  t.same(
    listed.map(({ param_id, param_value, param_index }) => [param_id, param_value, param_index]),
    [
      ['KES_LEARN', 1, 0],
      ['KES_FPS_MIN', Math.fround(0.1), 1],
      ['KES_FPS_MAX', 1, 2],
      ['KES_GND_PAUSE', 1, 3],
    ],
  )
  t.ok(listed.every(({ param_count, param_type }) => param_count === 4 && param_type === 9))
  const set = (param_id: string, param_value: number) => {
    say('PARAM_SET', { param_id, param_value, param_type: 9, ...to })
    return named('PARAM_VALUE').at(-1)!.values.param_value
  }
  t.equal(set('KES_LEARN', 0), 0)
  t.equal(pilot.learning, false)
  t.equal(set('KES_FPS_MAX', 4), 4)
  t.equal(set('KES_FPS_MIN', 5), 5)
  t.match(pilot, { minFps: 5, maxFps: 5 }, 'least is never more than most')
  t.equal(set('KES_FPS_MAX', 1e9), 30)
  t.equal(set('KES_FPS_MAX', Number.NaN), 30, 'no number changes nothing')
  t.equal(set('KES_FPS_MIN', -3), Math.fround(0.01))
  const { length } = named('PARAM_VALUE')
  say('PARAM_SET', { param_id: 'NOT_OURS', param_value: 1, ...to })
  say('PARAM_REQUEST_READ', { param_id: 'NOT_OURS', param_index: -1, ...to })
  say('PARAM_REQUEST_READ', { param_index: 99, ...to })
  t.equal(named('PARAM_VALUE').length, length, 'silence, as by other components')
  say('PARAM_REQUEST_READ', { param_id: 'KES_GND_PAUSE', param_index: -1, ...to })
  say('PARAM_REQUEST_READ', { param_index: 2, ...to })
  t.same(
    named('PARAM_VALUE')
      .slice(length)
      .map(({ values }) => values.param_id),
    ['KES_GND_PAUSE', 'KES_FPS_MAX'],
  )
  await vehicle.stop()
})

test("A pilot's commands: done once however often they are repeated, and always answered", async t => {
  const { flyTo, listen, say, vehicle, named, pilot } = await companion()
  await listen()
  say('HEARTBEAT', copterBeat, autopilot1)
  await flyTo(1)
  const command = (number: number, param1 = 0, confirmation = 0) =>
    say('COMMAND_LONG', { command: number, param1, confirmation, target_system: 1, target_component: 191 })
  const results = () =>
    named('COMMAND_ACK')
      .filter(({ values }) => values.target_system === 255 && values.target_component === 190)
      .map(({ values }) => [values.command, values.result])
  const settled = () => new Promise(resolve => setImmediate(resolve))
  command(USER_1, 0)
  await settled()
  t.equal(pilot.learning, false, 'paused')
  command(USER_1, 1)
  await settled()
  t.equal(pilot.learning, true, 'resumed, though it is the same command')
  command(USER_1, 7)
  await settled()
  t.same(results(), [
    [USER_1, ACCEPTED],
    [USER_1, ACCEPTED],
    [USER_1, DENIED],
  ])
  command(USER_2)
  command(USER_2, 0, 1)
  await settled()
  command(USER_2, 0, 2)
  await settled()
  t.equal(pilot.rolledBack, 1, 'a repeat whose answer was lost is not done again')
  t.same(results().slice(3), [
    [USER_2, IN_PROGRESS],
    [USER_2, IN_PROGRESS],
    [USER_2, ACCEPTED],
    [USER_2, ACCEPTED],
  ])
  t.ok(named('STATUSTEXT').some(({ values }) => values.text === 'Kestrel: rolled back to version 4'))
  command(USER_2)
  await settled()
  t.equal(pilot.rolledBack, 2, 'a new one is')
  command(USER_3)
  command(176)
  await settled()
  t.same(results().slice(-2), [
    [USER_3, UNSUPPORTED],
    [176, UNSUPPORTED],
  ])
  say('COMMAND_INT', { command: USER_1, param1: 0, target_system: 1, target_component: 191 })
  await settled()
  t.equal(pilot.learning, false, 'COMMAND_INT is as good')
  await vehicle.stop()
})

test('A roll back that fails says so', async t => {
  const kept = await companion({
    controls: {
      learning: { get: () => true, set() {} },
      samplingLimits: { get: () => ({ minFps: 1, maxFps: 1 }), set() {} },
      pauseOnGround: { get: () => true, set() {} },
      rollBack: () => Promise.reject(new Error('there is no version before this one')),
    },
  })
  await kept.listen()
  kept.say('HEARTBEAT', copterBeat, autopilot1)
  kept.say('COMMAND_LONG', { command: USER_2, target_system: 1, target_component: 191 })
  await kept.flyTo(1)
  t.match(kept.named('COMMAND_ACK').at(-1)?.values, { result: FAILED })
  const texts = kept.named('STATUSTEXT').map(({ values }) => values.text)
  t.equal(texts.join(''), 'Kestrel: roll back failed: there is no version before this one')
  await kept.vehicle.stop()
})

test('Reports: named values and the state of the computer, once there is somebody to hear them', async t => {
  const board = {
    read: () => ({ cpuPercent: [40, 60], boardC: 71.6, ramUsedMiB: 512, undervoltage: true, diskFull: true }),
  }
  const { flyTo, listen, say, vehicle, named } = await companion({ board })
  await listen()
  vehicle.namedValue('KES_BEFORE', 1)
  await flyTo(5)
  t.same([named('NAMED_VALUE_FLOAT'), named('ONBOARD_COMPUTER_STATUS')], [[], []])
  say('HEARTBEAT', copterBeat, autopilot1)
  vehicle.namedValue('KES_LATENCY_MS', 11)
  vehicle.namedValue('KES_FPS', 9)
  vehicle.namedValue('KES_FPS', 10)
  await flyTo(7.5)
  t.same(
    named('NAMED_VALUE_FLOAT').map(({ values }) => [values.name, values.value]),
    [
      ['KES_LATENC', 11],
      ['KES_FPS', 10],
    ],
  )
  const { values } = named('ONBOARD_COMPUTER_STATUS')[0] as Frame
  t.match(values, { ram_usage: 512, temperature_board: 72, status_flags: 1 | 8, uptime: 6000 })
  t.same((values.cpu_cores as number[]).slice(0, 3), [40, 60, 255])
  t.equal((values.cpu_combined as number[])[0], 50)
  t.equal(values.time_usec, BigInt(startMs + 6000) * 1000n)
  await vehicle.stop()
})

test('As a camera, where it is wanted', async t => {
  const { flyTo, listen, say, vehicle, named } = await companion({
    camera: { width: 1280, height: 720, model: 'HQ camera' },
  })
  await listen()
  say('HEARTBEAT', copterBeat, autopilot1)
  await flyTo(2.5)
  const beats = named('HEARTBEAT')
  t.same(
    beats.slice(-2).map(({ component, values }) => [component, values.type]),
    [
      [191, 18],
      [100, 30],
    ],
  )
  const ask = (param1: number, target_component: number) =>
    say('COMMAND_LONG', { command: 512, param1, target_system: 1, target_component })
  ask(259, 0)
  await new Promise(resolve => setImmediate(resolve))
  const [information] = named('CAMERA_INFORMATION')
  t.match(information, { component: 100, values: { resolution_h: 1280, resolution_v: 720, flags: 0 } })
  t.equal(Buffer.from((information.values.model_name as number[]).slice(0, 9)).toString(), 'HQ camera')
  t.match(named('COMMAND_ACK').at(-1), { component: 100, values: { command: 512, result: ACCEPTED } })
  const { length } = named('COMMAND_ACK')
  ask(148, 0)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(named('COMMAND_ACK').length, length, 'what was asked of all is for others to answer')
  ask(148, 100)
  await new Promise(resolve => setImmediate(resolve))
  t.match(named('COMMAND_ACK').at(-1), { component: 100, values: { result: UNSUPPORTED } })
  await vehicle.stop()
})
