import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { anglesOf, Gatherer, openLog, readTlog } from '@kestrel/ground-station/review'
import { encode, message } from '@kestrel/link/mavlink'
import fc from 'fast-check'
import { common, minimal } from 'mavlink-mappings'
import { test } from 'tap'
import { needs, sharedPath } from '../../support/shared.js'
import { payloads, UlogBuilder } from './ulogs.js'

const { MavAutopilot, MavModeFlag, MavState, MavType } = minimal
const vtol = sharedPath('data/flight-logs/vtol.tlog')
const px4 = sharedPath('data/flight-logs/sample_px4_events.ulg')
const grounded = sharedPath('data/flight-logs/sample_log_small.ulg')

test('Angles of a quaternion are those it was made from', async () => {
  const angle = fc.double({ min: -1.5, max: 1.5, noNaN: true })
  fc.assert(
    fc.property(angle, angle, fc.double({ min: -3.1, max: 3.1, noNaN: true }), (roll, pitch, yaw) => {
      const [cr, sr] = [Math.cos(roll / 2), Math.sin(roll / 2)]
      const [cp, sp] = [Math.cos(pitch / 2), Math.sin(pitch / 2)]
      const [cy, sy] = [Math.cos(yaw / 2), Math.sin(yaw / 2)]
      const found = anglesOf([
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
      ])
      const degrees = (radians: number) => (radians * 180) / Math.PI
      const near = (a: number, b: number) => Math.abs(((a - b + 540) % 360) - 180) < 1e-6
      return (
        near(found.roll, degrees(roll)) &&
        near(found.pitch, degrees(pitch)) &&
        near(found.yaw, degrees(yaw)) &&
        found.yaw >= 0 &&
        found.yaw < 360
      )
    }),
  )
})

/** Ten seconds of a PX4 flight: 200 attitudes, positions of the receiver and estimates, a mode, arming, a warning. */
function madeUlog(): UlogBuilder {
  const log = new UlogBuilder()
    .format('vehicle_attitude', 'uint64_t timestamp;float[4] q;')
    .format('vehicle_global_position', 'uint64_t timestamp;double lat;double lon;float alt;')
    .format(
      'vehicle_gps_position',
      'uint64_t timestamp;uint64_t time_utc_usec;int32_t lat;int32_t lon;int32_t alt;',
    )
    .format('vehicle_status', 'uint64_t timestamp;uint8_t nav_state;uint8_t arming_state;')
    .parameter('MPC_XY_VEL_MAX', 12.5)
    .subscribe(1, 'vehicle_attitude')
    .subscribe(2, 'vehicle_global_position')
    .subscribe(3, 'vehicle_gps_position')
    .subscribe(4, 'vehicle_status')
  for (let i = 0; i < 200; i++) {
    const us = BigInt(5_000_000 + 50_000 * i)
    const attitude = Buffer.alloc(24)
    attitude.writeBigUInt64LE(us)
    attitude.writeFloatLE(Math.cos(i / 400), 8)
    attitude.writeFloatLE(0, 12)
    attitude.writeFloatLE(0, 16)
    attitude.writeFloatLE(Math.sin(i / 400), 20)
    log.data(1, attitude)
    if (i % 10 === 0) {
      const position = Buffer.alloc(28)
      position.writeBigUInt64LE(us)
      position.writeDoubleLE(47 + i / 1e5, 8)
      position.writeDoubleLE(8, 16)
      position.writeFloatLE(500 + i, 24)
      log.data(2, position)
      const fix = Buffer.alloc(28)
      fix.writeBigUInt64LE(us)
      fix.writeBigUInt64LE(1_700_000_000_000_000n + us, 8)
      fix.writeInt32LE(470_000_000, 16)
      fix.writeInt32LE(81_000_000, 20)
      fix.writeInt32LE(400_000, 24)
      log.data(3, fix)
    }
    const status = Buffer.alloc(10)
    status.writeBigUInt64LE(us)
    status[8] = i < 100 ? 2 : 3
    status[9] = i < 20 || i >= 180 ? 1 : 2
    log.data(4, status)
    if (i === 50) log.log(4, us, '[commander] low battery')
  }
  return log
}

test('A PX4 log made by hand: track of the estimate, attitude, modes, arming, texts, parameters, the time of the day', async t => {
  const file = join(t.testdir(), 'log.ulg')
  writeFileSync(file, madeUlog().bytes())
  const recording = await openLog(file)
  const view = await recording.view()
  t.equal(view.kind, 'ulog')
  t.ok(view.dated)
  t.equal(view.beginMs, 1_700_000_000_000 + 5000)
  t.equal(view.endMs - view.beginMs, 199 * 50)
  t.equal(view.track.timesMs.length, 20)
  t.same(
    [view.track.latitudeDeg[19], view.track.longitudeDeg[19], view.track.altitudeM[19]],
    [47 + 190 / 1e5, 8, 690],
  )
  t.same(view.parameters, { MPC_XY_VEL_MAX: 12.5 })
  t.same(
    view.eventList.map(({ timeMs, type, severity, text }) => [timeMs - view.beginMs, type, severity, text]),
    [
      [0, 'mode', 'info', 'Mode POSCTL'],
      [1000, 'armed', 'info', 'Armed'],
      [2500, 'status-text', 'warning', '[commander] low battery'],
      [5000, 'mode', 'info', 'Mode AUTO.MISSION'],
      [9000, 'disarmed', 'info', 'Disarmed'],
    ],
  )
  const [yaw, raw] = await recording.series({
    names: ['yawDeg', 'vehicle_attitude.q[3]'],
    maxPoints: 1000,
  })
  t.equal(yaw.values.length, 200)
  t.ok(Math.abs(yaw.values[199] - ((2 * 199) / 400) * (180 / Math.PI)) < 0.01)
  t.ok(Math.abs(raw.values[100] - Math.sin(100 / 400)) < 1e-6)
  const [part] = await recording.series({
    names: ['yawDeg'],
    maxPoints: 1000,
    fromMs: view.beginMs + 1000,
    toMs: view.beginMs + 2000,
  })
  t.equal(part.values.length, 21 + 2, 'the samples of the stretch and one on either side')
  await t.rejects(recording.series({ names: ['no.such'], maxPoints: 10 }), /no series "no.such"/)
  await recording.close()
})

test('A PX4 log that was cut off anywhere opens as far as it goes, or says what it is', async t => {
  const bytes = madeUlog().bytes()
  const dir = t.testdir()
  for (const share of [0.002, 0.01, 0.1, 0.5, 0.9, 0.999]) {
    const file = join(dir, `cut-${share}.ulg`)
    writeFileSync(file, bytes.subarray(0, Math.floor(share * bytes.length)))
    const outcome = await openLog(file).then(
      async recording => (await recording.view()).series.length,
      error => String(error.message),
    )
    if (share >= 0.1) t.type(outcome, 'number', `${share}: ${outcome}`)
    else t.match(outcome, /no PX4 log|no whole message|no message/, `${share}`)
  }
})

test(
  'A real PX4 log: positions, attitudes, parameters and texts are those of an independent parser',
  needs(px4),
  async t => {
    const { topics, parameters, texts } = payloads(readFileSync(px4!))
    const recording = await openLog(px4!)
    const view = await recording.view()
    const positions = topics.get('vehicle_global_position#0')!
    t.equal(view.track.timesMs.length, positions.length)
    for (const [i, body] of positions.entries()) {
      if (view.track.latitudeDeg[i] !== body.readDoubleLE(16)) t.fail(`latitude ${i}`)
      if (view.track.timesMs[i] !== Number(body.readBigUInt64LE(0)) / 1000) t.fail(`time ${i}`)
    }
    t.equal(Object.keys(view.parameters).length, parameters.size)
    t.equal(view.eventList.filter(({ type }) => type === 'status-text').length, texts)
    t.ok(view.dated)
    t.match(new Date(view.beginMs).toISOString(), /^2024-03-18T14:49/)
    const [roll] = await recording.series({ names: ['rollDeg'], maxPoints: 5000 })
    t.equal(roll.values.length, topics.get('vehicle_attitude#0')!.length)
    await recording.close()
  },
)

test('A PX4 log of a vehicle on the ground: armed and disarmed', needs(grounded), async t => {
  const recording = await openLog(grounded!)
  const { eventList } = await recording.view()
  t.same(
    eventList.filter(({ type }) => type.endsWith('armed')).map(({ text }) => text),
    ['Armed', 'Disarmed'],
  )
  await recording.close()
})

/** Packets of a copter that is armed and flies 1 m north a second, and of a ground station that talks between. */
function packets(seconds: number) {
  const vehicle = { system: 3, component: 1 }
  const out: { timeMs: number; packet: Uint8Array }[] = []
  let sequence = 0
  for (let s = 0; s < seconds; s++) {
    const put = (data: object, from = vehicle, later = 0) => {
      const packet = encode(data as never, sequence++ & 255, from)
      out.push({ timeMs: 1_700_000_000_000 + 1000 * s + later, packet })
    }
    const heartbeat = (type: number, autopilot: number, baseMode: number, customMode: number) =>
      message(minimal.Heartbeat, {
        type,
        autopilot,
        baseMode,
        customMode,
        systemStatus: MavState.ACTIVE,
        mavlinkVersion: 3,
      })
    put(heartbeat(MavType.GCS, MavAutopilot.INVALID, 0, 0), { system: 255, component: 190 })
    put(
      heartbeat(
        MavType.QUADROTOR,
        MavAutopilot.ARDUPILOTMEGA,
        s < 5 ? 1 : 1 | MavModeFlag.SAFETY_ARMED,
        s < 10 ? 4 : 3,
      ),
    )
    put(
      message(common.GlobalPositionInt, {
        timeBootMs: 1000 * s,
        lat: 470_000_000 + 90 * s,
        lon: 80_000_000,
        alt: 500_000,
        relativeAlt: 1000 * s,
        vx: 100,
        vy: 0,
        vz: -50,
        hdg: 0,
      }),
      vehicle,
      5,
    )
    if (s === 7) {
      const text = 'A text that is longer than fifty characters and so comes in two chunks'
      put(message(common.StatusText, { severity: 4, text: text.slice(0, 50), id: 9, chunkSeq: 0 }))
      put(message(common.StatusText, { severity: 4, text: text.slice(50), id: 9, chunkSeq: 1 }))
    }
  }
  return out
}

test('Packets of a telemetry log: track, height, modes and arming of the vehicle, not of the ground station', async t => {
  const into = new Gatherer()
  const facts = await readTlog(packets(20), into)
  t.equal(facts.vehicle, 'ArduCopter')
  t.equal(into.track.timesMs.length, 20)
  t.ok(Math.abs(into.track.latitudeDeg[19] - 47.000171) < 1e-9)
  t.same(into.data('heightM')?.values.slice(0, 3), [0, 1, 2])
  t.same(into.data('climbMps')?.values.slice(0, 2), [0.5, 0.5])
  t.same(into.data('GLOBAL_POSITION_INT.relative_alt')?.values[2], 2000)
  t.ok(into.infos.some(({ name }) => name === 'HEARTBEAT@255.190.type'))
  t.same(
    into.events.map(({ type, text }) => [type, text]),
    [
      ['mode', 'Mode GUIDED'],
      ['armed', 'Armed'],
      ['status-text', 'A text that is longer than fifty characters and so comes in two chunks'],
      ['mode', 'Mode AUTO'],
    ],
  )
})

test('A real telemetry log: every packet is read, the track is that of the packets', needs(vtol), async t => {
  const bytes = readFileSync(vtol!)
  const latitudes: number[] = []
  // MAVLink 1: µs, 0xfe, length, sequence, system, component, message, payload, checksum.
  for (let at = 0; at + 16 < bytes.length; at += 8 + 8 + bytes[at + 9]) {
    if (bytes[at + 8] !== 0xfe) return t.fail(`no MAVLink 1 at ${at}`)
    if (bytes[at + 13] === 33 && bytes.readInt32LE(at + 14 + 4) !== 0)
      latitudes.push(bytes.readInt32LE(at + 14 + 4) / 1e7)
  }
  const recording = await openLog(vtol!)
  const view = await recording.view()
  t.equal(view.drone, 'ArduPlane')
  t.same(view.track.latitudeDeg, latitudes)
  t.ok(Object.keys(view.parameters).length > 1000)
  t.ok(view.eventList.some(({ type }) => type === 'armed'))
  await recording.close()
})

test('A log of a million samples is gathered in bounded memory', async t => {
  const into = new Gatherer()
  for (let i = 0; i < 1_000_000; i++) {
    into.value('a', i, Math.sin(i), () => ({ label: 'a', unit: '', group: '' }))
    into.position(i, { latitudeDeg: 1 + i / 1e6, longitudeDeg: 2 }, 'estimate')
    into.event(i, 'mode', 'info', 'x')
  }
  t.ok(into.data('a')!.values.length <= 2000)
  t.notOk(into.data('a')!.exact)
  t.ok(into.track.timesMs.length <= 4000 && into.track.timesMs.length >= 2000)
  t.equal(into.events.length, 5000)
  t.equal(into.eventsLeftOut, 995_000)
  t.match(into.notes[0], /995000 events/)
})
