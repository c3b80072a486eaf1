import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import { type AutopilotOptions, startAutopilot } from '@kestrel/simulator'
import { type Test, test } from 'tap'
import { messages } from '../support/mavlink.js'
import { home, plan, roundTrip } from './flights.js'
import { type GroundStation, overTcp, overUdp } from './ground-station.js'

const flight = plan()
const anyPort = { host: '127.0.0.1', port: 0 }

/** An autopilot in real time, `fromS` seconds into its flight. */
function start(listen: AutopilotOptions['listen'], fromS = 60) {
  const clock = new RealClock()
  return startAutopilot({
    flight,
    home,
    clock,
    log: silentLog,
    listen,
    startMs: clock.nowMs() - fromS * 1000,
  })
}

const accepted = 0
const denied = 2
const unsupported = 3
const failed = 4

for (const way of ['tcp', 'udp'] as const) {
  const connected = async (fromS?: number) => {
    const autopilot = await start(way === 'tcp' ? { tcp: anyPort } : { udp: { bind: anyPort } }, fromS)
    const station = way === 'tcp' ? await overTcp(autopilot.ports.tcp!) : await overUdp(autopilot.ports.udp!)
    return { station, autopilot }
  }
  const withStation = (
    name: string,
    run: (station: GroundStation, t: Test) => Promise<void>,
    fromS?: number,
  ) =>
    test(`${name} (${way})`, async t => {
      const { station, autopilot } = await connected(fromS)
      t.teardown(async () => {
        station.close()
        await autopilot.stop()
      })
      await run(station, t)
    })

  withStation('The mission can be downloaded, not changed', async (station, t) => {
    const { count } = await station.ask('MISSION_REQUEST_LIST', {}, 'MISSION_COUNT')
    // Home, one for each item, and a DO_CHANGE_SPEED before each of five changes of speed.
    t.equal(count, 1 + roundTrip.length + 5)
    const items = []
    for (let seq = 0; seq < Number(count); seq++) {
      const item = await station.ask('MISSION_REQUEST_INT', { seq }, 'MISSION_ITEM_INT', v => v.seq === seq)
      const older = await station.ask('MISSION_REQUEST', { seq }, 'MISSION_ITEM', v => v.seq === seq)
      t.match(item, { target_system: 255, target_component: 190, command: older.command, z: older.z })
      t.ok(Math.abs(Number(item.x) / 1e7 - Number(older.x)) < 1e-5)
      items.push(item)
    }
    t.same(
      items.map(({ command }) => command),
      [16, 22, 178, 16, 178, 16, 19, 178, 16, 178, 16, 19, 178, 20],
    )
    t.match(items[0], { frame: 0, x: 465000000, y: 72500000 })
    t.match(items[3], { frame: 3, z: 60 })
    t.match(items[6], { param1: 30, param3: 35 })
    const beyond = await station.ask('MISSION_REQUEST_INT', { seq: 99 }, 'MISSION_ACK')
    t.equal(beyond.type, 13, 'MAV_MISSION_INVALID_SEQUENCE')
    for (const change of ['MISSION_COUNT', 'MISSION_CLEAR_ALL']) {
      t.equal((await station.ask(change, { count: 3 }, 'MISSION_ACK')).type, 14, 'MAV_MISSION_DENIED')
    }
    const fence = await station.ask('MISSION_REQUEST_LIST', { mission_type: 1 }, 'MISSION_COUNT')
    t.match(fence, { count: 0, mission_type: 1 })
  })

  withStation('Parameters can be listed, read and set', async (station, t) => {
    const first = await station.ask('PARAM_REQUEST_LIST', {}, 'PARAM_VALUE')
    const count = Number(first.param_count)
    await station.next('PARAM_VALUE', values => values.param_index === count - 1, 0)
    const listed = station.heard.filter(({ name }) => name === 'PARAM_VALUE').map(({ values }) => values)
    t.same(
      listed.map(({ param_index }) => param_index),
      Array.from({ length: count }, (_, i) => i),
      'each once, in order',
    )
    const names = listed.map(({ param_id }) => String(param_id))
    t.same(names, [...new Set(names)].sort(), 'sorted as ArduPilot sorts them')
    t.ok(['SYSID_THISMAV', 'SERIAL1_BAUD', 'SR0_POSITION'].every(name => names.includes(name)))
    const read = (id: string) =>
      station.ask('PARAM_REQUEST_READ', { param_id: id, param_index: -1 }, 'PARAM_VALUE')
    t.match(await read('SYSID_THISMAV'), { param_value: 1, param_type: 4 })
    t.match(await station.ask('PARAM_REQUEST_READ', { param_index: 3 }, 'PARAM_VALUE'), {
      param_id: names[3],
    })
    const set = (id: string, value: number) =>
      station.ask('PARAM_SET', { param_id: id, param_value: value, param_type: 9 }, 'PARAM_VALUE')
    t.match(await set('RTL_ALT', 2500), { param_id: 'RTL_ALT', param_value: 2500 })
    t.match(await read('RTL_ALT'), { param_value: 2500 })
    t.match(await set('GPS_TYPE', 1e9), { param_value: 127 }, 'within its type')
    t.match(await set('SYSID_THISMAV', 9), { param_value: 1 }, 'the address stays')
    // Silence for what is unknown: the next answer is that of the next question.
    station.send('PARAM_SET', { target_system: 1, target_component: 1, param_id: 'NO_SUCH', param_value: 1 })
    t.match(await read('WPNAV_SPEED_DN'), { param_id: 'WPNAV_SPEED_DN', param_value: 200 })
  })

  withStation('Message rates can be asked for, told and forgotten', async (station, t) => {
    const interval = async (id: number) => {
      const since = station.heard.length
      const result = await station.command(510, [id])
      const { interval_us } = await station.next('MESSAGE_INTERVAL', v => v.message_id === id, since)
      return { result, interval_us }
    }
    t.same(await interval(30), { result: accepted, interval_us: 250_000 })
    t.equal(await station.command(511, [30, 20_000]), accepted)
    t.same(await interval(30), { result: accepted, interval_us: 20_000 })
    const since = station.heard.length
    for (let i = 0; i < 10; i++) await station.next('ATTITUDE', undefined, station.heard.length)
    const positions = station.heard.slice(since).filter(({ name }) => name === 'GLOBAL_POSITION_INT')
    t.ok(positions.length <= 3, 'the others keep their rate')
    t.equal(await station.command(511, [30, -1]), accepted)
    t.same(await interval(30), { result: accepted, interval_us: -1 })
    t.equal(await station.command(511, [30, 0]), accepted)
    t.same(await interval(30), { result: accepted, interval_us: 250_000 })
    t.equal(await station.command(511, [30, 1]), accepted)
    t.same(await interval(30), { result: accepted, interval_us: 10_000 }, 'no faster than 100 Hz')
    t.equal(await station.command(511, [77, 1000]), denied, 'no message that could be streamed')
    t.same(await interval(12_345), { result: failed, interval_us: 0 })
    station.send('REQUEST_DATA_STREAM', {
      target_system: 1,
      target_component: 1,
      req_stream_id: 6,
      req_message_rate: 10,
      start_stop: 1,
    })
    t.same(await interval(33), { result: accepted, interval_us: 100_000 })
    await station.ask('PARAM_SET', { param_id: 'SR0_EXTRA2', param_value: 20 }, 'PARAM_VALUE')
    t.same(await interval(74), { result: accepted, interval_us: 50_000 }, 'SR0_ parameters set the default')
  })

  withStation('Single messages and the version can be asked for', async (station, t) => {
    for (const [id, name] of [
      [148, 'AUTOPILOT_VERSION'],
      [242, 'HOME_POSITION'],
      [147, 'BATTERY_STATUS'],
      [245, 'EXTENDED_SYS_STATE'],
      [24, 'GPS_RAW_INT'],
    ] as const) {
      const since = station.heard.length
      t.equal(await station.command(512, [id]), accepted)
      await station.next(name, undefined, since)
    }
    const since = station.heard.length
    t.equal(await station.command(520, [1]), accepted)
    const version = await station.next('AUTOPILOT_VERSION', undefined, since)
    t.equal(Number(version.flight_sw_version) >>> 16, 0x0405, '4.5')
    t.equal(Number(version.capabilities) & 0x2006, 0x2006, 'MAVLink 2, float parameters, integer missions')
    t.equal(Buffer.from(version.flight_custom_version as number[]).toString(), 'kestrel\0')
    t.equal(await station.command(512, [300]), denied)
    t.equal(await station.command(400 - 1), unsupported)
    const integer = await station.ask('COMMAND_INT', { command: 410 }, 'COMMAND_ACK', v => v.command === 410)
    t.match(integer, { result: accepted, target_system: 255, target_component: 190 })
    const position = await station.next('HOME_POSITION', undefined, since)
    t.match(position, { latitude: 465000000, longitude: 72500000, altitude: Math.round(flight.homeZ * 1000) })
  })

  withStation('In flight it stays armed and in AUTO', async (station, t) => {
    t.equal(await station.command(400, [1]), accepted, 'armed already')
    t.equal(await station.command(400, [0]), failed)
    t.match(await station.next('STATUSTEXT', undefined, 0), { severity: 6 })
    t.equal(await station.command(400, [3]), denied)
    t.equal(await station.command(176, [1, 3]), accepted, 'AUTO already')
    t.equal(await station.command(176, [1, 5]), failed)
    t.equal(await station.command(176, [1, 77]), failed)
    t.equal(await station.command(176, [0, 3]), denied)
    const since = station.heard.length
    t.match(await station.next('HEARTBEAT', undefined, since), { custom_mode: 3, base_mode: 217 })
  })

  withStation(
    'On the ground the mode can be chosen, and arming is its own business',
    async (station, t) => {
      t.equal(await station.command(400, [1]), failed)
      t.equal(await station.command(400, [0]), accepted)
      t.equal(await station.command(176, [1, 5]), accepted)
      const since = station.heard.length
      t.match(await station.next('HEARTBEAT', v => v.custom_mode === 5, since), { base_mode: 81 })
      t.equal(await station.command(176, [1, 6]), failed, 'no return for what stands')
      const legacy = { base_mode: 1, custom_mode: 4 }
      t.match(await station.ask('SET_MODE', legacy, 'COMMAND_ACK', v => v.command === 11), {
        result: accepted,
      })
    },
    // Long before its flight.
    -3600,
  )

  withStation('Time and pings come back', async (station, t) => {
    const sync = await station.ask('TIMESYNC', { tc1: 0n, ts1: 123_456_789n }, 'TIMESYNC')
    t.equal(sync.ts1, 123_456_789n)
    t.ok(Number(sync.tc1) / 1e9 > 59, 'nanoseconds since the start of the flight')
    const since = station.heard.length
    station.send('PING', { time_usec: 42n, seq: 7 })
    const ping = await station.next('PING', undefined, since)
    t.match(ping, { time_usec: 42n, seq: 7, target_system: 255, target_component: 190 })
  })

  withStation('Messages for another vehicle are not answered', async (station, t) => {
    const since = station.heard.length
    const other = { target_system: 2, target_component: 1, command: 512, param1: 148 }
    station.send('COMMAND_LONG', other)
    station.send('COMMAND_LONG', { ...other, target_system: 1, target_component: 154 })
    t.equal(await station.command(512, [242]), accepted)
    const acks = station.heard.slice(since).filter(({ name }) => name === 'COMMAND_ACK')
    t.equal(acks.length, 1)
    t.notOk(station.heard.some(({ name }) => name === 'AUTOPILOT_VERSION'))
  })
}

test('Each connection has its own rates and sequence numbers', async t => {
  const autopilot = await start({ tcp: anyPort, udp: { bind: anyPort } })
  const stations = [
    await overTcp(autopilot.ports.tcp!),
    await overTcp(autopilot.ports.tcp!),
    await overUdp(autopilot.ports.udp!),
  ]
  t.equal(await stations[0].command(511, [30, 10_000]), accepted)
  for (let i = 0; i < 20; i++) await stations[0].next('ATTITUDE', undefined, stations[0].heard.length)
  await Promise.all(stations.map(station => station.next('HEARTBEAT', undefined, station.heard.length)))
  for (const station of stations) {
    t.ok(station.heard.every(({ sequence }, i) => sequence === i % 256))
    station.close()
  }
  const [fast, ...others] = stations.map(
    ({ heard }) => heard.filter(({ name }) => name === 'ATTITUDE').length,
  )
  t.ok(others.every(count => count < fast / 3))
  await autopilot.stop()
})

test('It sends to a UDP target unasked, and knows it again when it speaks', async t => {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const autopilot = await start({ udp: { target: { host: 'localhost', port: socket.address().port } } })
  const sequences: number[] = []
  const seen = new Set<number>()
  socket.on('message', (datagram, from) => {
    sequences.push(datagram[4])
    seen.add(datagram.readUIntLE(7, 3))
    if (sequences.length < 40) socket.send(datagram, from.port, from.address)
    if (sequences.length === 60) socket.emit('enough')
  })
  await once(socket, 'enough')
  t.ok(sequences.every((sequence, i) => sequence === i % 256))
  t.ok([0, 30, 33].every(id => seen.has(id) && messages.has(id)))
  socket.close()
  await autopilot.stop()
})

test('An address that is taken, a device that is not there and a home that is no place are told', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await t.rejects(start({ tcp: { host: '127.0.0.1', port } }), UserError)
  server.close()
  await t.rejects(start({ serial: { path: '/dev/no-such-device' } }), /Cannot open the serial device.*socat/)
  const nowhere = {
    flight,
    home: { latitude: 91, longitude: 0 },
    clock: new RealClock(),
    log: silentLog,
    listen: {},
  }
  await t.rejects(startAutopilot(nowhere), /no place on the globe/)
})
