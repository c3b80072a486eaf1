import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogModule, parseAgentConfig } from '@kestrel/agent'
import { makeFlightId, openFlight, parseFlightId } from '@kestrel/flight-log'
import { defaultPalette } from '@kestrel/models'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import t from 'tap'

t.setTimeout(120_000)

/** The log of an agent whose vehicle does what the test says. */
function world(dir: string, more: object = {}) {
  const clock = new VirtualClock(1_700_000_000_000.25)
  const config = parseAgentConfig({
    ...{ drone: 'scout-1', student: 'student.onnx', stateDir: dir, camera: { source: 'sim:dawn-coast' } },
    ...{ vehicle: { endpoint: 'tcp:127.0.0.1:5760', signingKey: '/etc/hush' }, ...more },
  })
  const classes = ['land', 'water']
  const student = { classes, palette: defaultPalette(2), source: '/x/student.onnx' }
  const flights: string[] = []
  const logs: LogModule = new LogModule(config, {
    student: { student, applier: { version: 3 } } as never,
    vehicle: () => ({ connected: true, pose: { positioned: true, latitudeDeg: 47, longitudeDeg: 8 } }),
    onFlight: () => void flights.push(logs.flight),
    announce: () => {},
    clock,
    log: silentLog,
  })
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds * 10; i++) {
      await clock.advanceTo(clock.nowMs() + 100)
      if (i % 10 === 0) await sleep(2)
    }
  }
  const autopilot = (armed: boolean, mode = 'AUTO') =>
    logs.autopilot({ ...{ system: 1, kind: 'ArduCopter', armed, mode }, neighbour: { name: 'x', heard: 1 } })
  return { logs, config, flights, pass, autopilot, clock }
}

/** The disk takes its own time. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await sleep(5)
}

t.test('a flight is what lies between arming and disarming, and a little after', async t => {
  const { logs, config, flights, pass, autopilot } = world(t.testdir())
  logs.start()
  logs.line({ level: 'info', part: '', message: 'before any flight' })
  autopilot(false, 'STABILIZE')
  await pass(3)
  t.equal(logs.flight, '', 'none on the ground')
  autopilot(true)
  const id = logs.flight
  t.equal(parseFlightId(id)?.drone, 'scout-1')
  logs.line({ level: 'warn', part: 'x', message: 'in flight' })
  logs.text('Bad GPS', 3)
  logs.labelled({
    frame: { id: 7, captureMs: 1_700_000_003_000 },
    labels: { width: 2, height: 1, data: Uint8Array.of(0, 1) },
  } as never)
  logs.expect(8)
  logs.labelled({
    frame: { id: 8, captureMs: 1_700_000_004_000 },
    labels: { width: 2, height: 1, data: Uint8Array.of(0, 1) },
  } as never)
  await pass(4)
  logs.autopilot(undefined)
  await pass(2)
  t.equal(logs.flight, id, 'goes on while the autopilot is not heard')
  autopilot(true)
  autopilot(false)
  await pass(10)
  t.equal(logs.flight, id)
  autopilot(true)
  await pass(10)
  t.equal(logs.flight, id, 'armed again at once: the same flight')
  autopilot(false)
  await pass(17)
  t.equal(logs.flight, '')
  autopilot(true)
  const second = logs.flight
  t.not(second, id)
  await logs.stop()
  t.same(flights, [id, '', second, ''])
  t.same(readdirSync(config.logs.dir).sort(), [id, second].sort())
  const flight = await openFlight(join(config.logs.dir, id))
  t.notMatch(flight.info?.configuration, 'hush')
  t.same(
    (await flight.events()).map(({ type }) => type),
    [
      'flight-start',
      'mode',
      'armed',
      'mode',
      'status-text',
      'autopilot-lost',
      'autopilot-found',
      'disarmed',
      'armed',
      'disarmed',
      'flight-end',
    ],
  )
  const count = (topic: string) => flight.channels.get(topic)?.count ?? 0
  t.equal(count('/labels/student'), 1, 'of sampled frames only')
  t.ok(
    Math.abs(count('/vehicle/position') - 5 * 41) < 10,
    `${count('/vehicle/position')} positions at 5 a second`,
  )
  await flight.close()
})

t.test(
  'room: old flights go, then logging stops, then it goes on; what was cut off is mended at the start',
  async t => {
    const dir = t.testdir()
    const { logs, config, autopilot, pass } = world(dir, { logs: { maxMB: 10 } })
    const old = [1, 2].map(day => makeFlightId('scout-1', Date.UTC(2023, 0, day), createRng(day)))
    for (const id of old) {
      mkdirSync(join(config.logs.dir, id), { recursive: true })
      writeFileSync(join(config.logs.dir, id, 'ground.mcap'), Buffer.alloc(6_000_000))
    }
    logs.start()
    autopilot(true)
    await pass(2)
    const { flight } = logs
    logs.limit(0)
    await until(() => readdirSync(config.logs.dir).length === 2)
    t.same(readdirSync(config.logs.dir).sort(), [old[1], flight].sort(), 'the oldest went')
    await pass(10)
    logs.limit(1e15)
    await until(() => logs.trouble !== undefined)
    t.same(readdirSync(config.logs.dir), [flight], 'never the current one')
    t.match(logs.trouble, /no room/)
    await pass(10)
    for (let i = 0; i < 100 && logs.trouble !== undefined; i++) {
      logs.limit(0)
      await pass(1)
    }
    t.equal(logs.trouble, undefined)
    await logs.stop()
    // As after a power cut.
    const path = join(config.logs.dir, flight, 'drone.mcap')
    writeFileSync(path, readFileSync(path).subarray(0, -3000))
    const next = world(dir)
    next.logs.start()
    await next.pass(2)
    await next.logs.stop()
    const opened = await openFlight(join(config.logs.dir, flight))
    t.ok(opened.files[0].complete)
    await opened.close()
  },
)

t.test(
  'without a vehicle a flight is as long as the agent runs; switched off nothing is written',
  async t => {
    const dir = t.testdir()
    const { logs, pass } = world(dir, { vehicle: undefined })
    logs.start()
    const { flight } = logs
    t.not(flight, '')
    await pass(2)
    await logs.stop()
    t.same(readdirSync(join(dir, 'logs', flight)), ['drone.mcap'])
    const off = world(t.testdir(), { logs: { enabled: false } })
    off.logs.start()
    off.autopilot(true)
    await off.pass(1)
    await off.logs.stop()
    t.equal(off.logs.flight, '')
  },
)
