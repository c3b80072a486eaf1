import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  findParameterFile,
  openParameterLink,
  ParametersFailed,
  parseParameterFile,
  readParameterFile,
  vehicleParams,
} from '@kestrel/agent'
import { type Clock, createRng, RealClock, silentLog, UserError, VirtualClock } from '@kestrel/runtime'
import { type Autopilot, startAutopilot } from '@kestrel/simulator'
import t, { type Test } from 'tap'
import { home, plan } from '../simulator/flights.js'
import { bins, freePort, start } from '../support/processes.js'
import { WireEnd } from '../support/wire.js'
import { FakeAutopilot, type FakeAutopilotOptions } from './fake-autopilot.js'

t.setTimeout(300_000)

const flight = plan()
const anyPort = { host: '127.0.0.1', port: 0 }
/** Seconds into the flight at which the vehicle has landed, and at which it flies. */
const landedS = 300
const flyingS = 60

/** A wire in virtual time: where answers are waited for in vain, nobody else has to wait. */
function wire() {
  const clock = new VirtualClock(Date.UTC(2026, 5, 1))
  const [ours, theirs] = WireEnd.pair()
  return { clock, ours, theirs }
}

async function simulator(t: Test, fromS = landedS, on?: ReturnType<typeof wire>): Promise<Autopilot> {
  const clock = on?.clock ?? new RealClock()
  const autopilot = await startAutopilot({
    flight,
    home,
    clock,
    log: silentLog,
    listen: on === undefined ? { tcp: anyPort, udp: { bind: anyPort } } : { others: [on.theirs] },
    startMs: clock.nowMs() - fromS * 1000,
  })
  t.teardown(() => autopilot.stop())
  return autopilot
}

async function fake(t: Test, options: FakeAutopilotOptions): Promise<FakeAutopilot> {
  const autopilot = new FakeAutopilot(options)
  await autopilot.start()
  t.teardown(() => autopilot.stop())
  return autopilot
}

/** An autopilot of the test's at the other end of the wire. */
function on({ theirs, clock }: ReturnType<typeof wire>): Pick<FakeAutopilotOptions, 'wire'> {
  return { wire: { end: theirs, clock } }
}

/** Runs the command's heart; `said` is what it printed. */
async function run(
  way: string | ReturnType<typeof wire>,
  file: string,
  options: { apply?: boolean; backup?: string; findMs?: number; confirm?: () => Promise<boolean> } = {},
): Promise<{ same: boolean | unknown; said: string; asked: number }> {
  const { apply = false, backup, findMs, confirm = async () => true } = options
  const isWire = typeof way !== 'string'
  const clock: Clock = isWire ? way.clock : new RealClock()
  const link = await openParameterLink(isWire ? way.ours : way, { clock, log: silentLog })
  let said = ''
  let asked = 0
  try {
    const running = vehicleParams({
      file:
        file.includes(',') || file.includes('\t')
          ? parseParameterFile(file, 'the file')
          : findParameterFile(file),
      apply,
      backup,
      findMs,
      where: isWire ? 'a wire' : way,
      clock,
      link,
      print: text => {
        said += `${text}\n`
      },
      confirm: () => {
        asked++
        return confirm()
      },
    })
    if (isWire) await passTime(way.clock, running)
    return { same: await running, said, asked }
  } catch (error) {
    return { same: error, said, asked }
  } finally {
    await link.close()
  }
}

/** Moves time on until the work settles. */
async function passTime(clock: VirtualClock, work: Promise<unknown>): Promise<void> {
  let settled = false
  const settle = () => {
    settled = true
  }
  work.then(settle, settle)
  while (!settled) {
    await clock.advanceTo(clock.nowMs() + 10)
    await new Promise(resolve => setImmediate(resolve))
  }
}

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-params-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

for (const way of ['udp', 'tcp'] as const) {
  t.test(`the shipped file is compared, written once and found the same, over ${way}`, async t => {
    const { ports, vehicle } = await simulator(t)
    const endpoint = way === 'udp' ? `udpout:127.0.0.1:${ports.udp}` : `tcp:127.0.0.1:${ports.tcp}`
    const backup = join(temporaryFolder(t), 'before.param')
    const checked = await run(endpoint, 'copter-4.6-serial')
    t.match(checked, { same: false, asked: 0 })
    t.match(checked.said, /ArduCopter 4\.5\.7, system 1/)
    t.match(checked.said, /2 of 8 parameters/)
    t.match(checked.said, /BRD_SER2_RTSCTS +2 +0 +after a reboot/)
    t.notMatch(checked.said, /SERIAL2_BAUD/, 'what is the same is only counted')
    t.equal(vehicle.parameters.find('BRD_SER2_RTSCTS')?.value, 2, 'nothing was written')

    const applied = await run(endpoint, 'copter-4.6-serial', { apply: true, backup })
    t.match(applied, { same: true, asked: 1 })
    t.match(applied.said, /All 8 parameters/)
    t.match(applied.said, /Reboot the autopilot: it reads BRD_SER2_RTSCTS, SR2_EXT_STAT/)
    for (const { name, value } of readParameterFile(findParameterFile('copter-4.6-serial').name).entries) {
      t.equal(vehicle.parameters.find(name)?.value, value, name)
    }
    const again = await run(endpoint, 'copter-4.6-serial', { apply: true })
    t.match(again, { same: true, asked: 0 }, 'the second time there is nothing to ask')

    t.match(await run(endpoint, backup, { apply: true }), { same: true }, 'and back again')
    t.equal(vehicle.parameters.find('BRD_SER2_RTSCTS')?.value, 2)
    t.match(await run(endpoint, 'copter-4.6-serial'), { same: false })
  })
}

t.test('lost requests and lost replies are asked for again', async t => {
  const way = wire()
  const { vehicle } = await simulator(t, landedS, way)
  const rng = createRng('lossy')
  const lost = { there: 0, back: 0 }
  const losing = (direction: keyof typeof lost) => () => {
    const isLost = rng.float() < 0.3
    if (isLost) lost[direction] += 1
    return isLost
  }
  way.ours.loses = losing('there')
  way.theirs.loses = losing('back')
  const { same, said } = await run(way, 'copter-4.6-serial', { apply: true })
  t.equal(same, true, said)
  t.equal(vehicle.parameters.find('SR2_POSITION')?.value, 10)
  t.ok(lost.there > 0 && lost.back > 0, `${lost.there} and ${lost.back} were lost`)
  t.match(await run(way, 'copter-4.6-serial', { apply: true }), { same: true, asked: 0 })
})

t.test('an armed vehicle is compared, not written to', async t => {
  const { ports, vehicle } = await simulator(t, flyingS)
  const endpoint = `tcp:127.0.0.1:${ports.tcp}`
  t.match(await run(endpoint, 'copter-4.6-serial'), { same: false })
  const { same, asked } = await run(endpoint, 'copter-4.6-serial', { apply: true })
  t.ok(same instanceof ParametersFailed)
  t.match((same as Error).message, /armed/)
  t.equal(asked, 0)
  t.equal(vehicle.parameters.find('BRD_SER2_RTSCTS')?.value, 2)
})

t.test('who says no, or nothing at all, changes nothing', async t => {
  const { ports, vehicle } = await simulator(t)
  const endpoint = `tcp:127.0.0.1:${ports.tcp}`
  const refused = await run(endpoint, 'copter-4.6-serial', { apply: true, confirm: async () => false })
  t.match(refused, { same: false, asked: 1, said: /Nothing was written/ })
  const taken = join(temporaryFolder(t), 'taken.param')
  writeFileSync(taken, 'mine')
  const { same } = await run(endpoint, 'copter-4.6-serial', { apply: true, backup: taken })
  t.ok(same instanceof UserError, 'a backup that exists is not written over')
  t.equal(readFileSync(taken, 'utf8'), 'mine')
  t.equal(vehicle.parameters.find('BRD_SER2_RTSCTS')?.value, 2)
})

t.test('parameters that the firmware does not know are named, with the file that fits', async t => {
  const way = wire()
  await simulator(t, landedS, way)
  const { same, said } = await run(way, 'copter-4.7-serial')
  t.equal(same, false)
  t.match(said, /MAV3_POSITION +- +10 +not known to the autopilot/)
  t.match(said, /5 not known: .*another version; for ArduCopter 4\.5\.7 there is copter-4\.6-serial/)
  const wrong = await run(way, 'px4-1.16-serial', { apply: true })
  t.match(wrong, { same: false, asked: 0, said: /Nothing was written/ })
})

/** PX4 1.16 with what the shipped file sets, as it leaves the factory, and integers whose bytes are no number as a float. */
const px4: FakeAutopilotOptions = {
  autopilot: 12,
  // PARAM_ENCODE_BYTEWISE
  capabilities: 16n,
  version: [1, 16, 0],
  bytewise: true,
  parameters: {
    MAV_1_CONFIG: { type: 6, value: 0 },
    MAV_1_MODE: { type: 6, value: 2 },
    MAV_1_RATE: { type: 6, value: 0 },
    MAV_1_FORWARD: { type: 6, value: 0 },
    MAV_1_FLOW_CTRL: { type: 6, value: 2 },
    SER_TEL2_BAUD: { type: 6, value: 57_600 },
    TEST_QUIET: { type: 6, value: -1 },
    TEST_SIGNAL: { type: 6, value: 0x7f800001 },
    TEST_FLOAT: { type: 9, value: 0.25 },
  },
}

t.test('PX4 is spoken to byte by byte, in the types that it has', async t => {
  const autopilot = await fake(t, px4)
  const checked = await run(autopilot.endpoint, 'px4-1.16-serial')
  t.match(checked, { same: false })
  t.match(checked.said, /PX4 1\.16\.0/)
  t.match(checked.said, /SER_TEL2_BAUD +57600 +921600/)
  t.match(await run(autopilot.endpoint, 'px4-1.16-serial', { apply: true }), { same: true, asked: 1 })
  t.same(
    [...autopilot.parameters].slice(0, 6).map(([, { value }]) => value),
    [102, 2, 0, 1, 0, 921_600],
  )
  t.ok(autopilot.sets.every(({ type }) => type === 6))
  const { length } = autopilot.sets
  t.match(await run(autopilot.endpoint, 'px4-1.16-serial', { apply: true }), { same: true, asked: 0 })
  t.equal(autopilot.sets.length, length, 'the second time nothing is written')
})

t.test('integers whose bytes are no number arrive as they are, both ways', async t => {
  const autopilot = await fake(t, px4)
  const asItIs = 'TEST_QUIET,-1\nTEST_SIGNAL,2139095041\nTEST_FLOAT,0.25'
  t.match(await run(autopilot.endpoint, asItIs), { same: true })
  const other = 'TEST_QUIET,-4194305\nTEST_SIGNAL,-2\nTEST_FLOAT,-0.1'
  const { same, said } = await run(autopilot.endpoint, other, { apply: true })
  t.equal(same, true, said)
  t.equal(autopilot.parameters.get('TEST_QUIET')?.value, -4_194_305)
  t.equal(autopilot.parameters.get('TEST_SIGNAL')?.value, -2)
  t.equal(autopilot.parameters.get('TEST_FLOAT')?.value, Math.fround(-0.1))
})

t.test('without AUTOPILOT_VERSION the heartbeat tells the encoding', async t => {
  const way = wire()
  const { capabilities: _, ...silent } = px4
  await fake(t, { ...silent, ...on(way) })
  const { same, said } = await run(way, 'SER_TEL2_BAUD,57600\nTEST_QUIET,-1')
  t.equal(same, true, said)
  t.match(said, /^PX4, system 1/)
})

/** ArduPilot with a parameter that appears when another is set. */
const ardupilot: FakeAutopilotOptions = {
  autopilot: 3,
  capabilities: 2n,
  version: [4, 6, 1],
  bytewise: false,
  parameters: {
    NET_ENABLE: { type: 2, value: 0 },
    NET_NETMASK: { type: 2, value: 16 },
    SERIAL2_BAUD: { type: 6, value: 57 },
  },
}

t.test('a value that does not fit the type is not sent', async t => {
  const autopilot = await fake(t, ardupilot)
  const { same, said } = await run(autopilot.endpoint, 'NET_NETMASK,300\nSERIAL2_BAUD,9.5', { apply: true })
  t.equal(same, false)
  t.match(said, /NET_NETMASK +16 +300 +no value of its type, int8/)
  t.match(said, /SERIAL2_BAUD +57 +9\.5 +no value of its type, int32/)
  t.equal(autopilot.sets.length, 0)
})

t.test('a value that the autopilot does not keep is reported', async t => {
  const way = wire()
  const autopilot = await fake(t, {
    ...ardupilot,
    ...on(way),
    keep: (name, value) => (name === 'NET_NETMASK' ? 20 : value),
  })
  const { same, said } = await run(way, 'NET_NETMASK,24\nSERIAL2_BAUD,921', { apply: true })
  t.equal(same, false)
  t.match(said, /Read back[\s\S]*NET_NETMASK +20 +24/)
  t.equal(autopilot.parameters.get('SERIAL2_BAUD')?.value, 921, 'the others are written')
})

t.test('what comes to light by what was enabled is written too', async t => {
  const way = wire()
  const autopilot: FakeAutopilot = await fake(t, {
    ...ardupilot,
    ...on(way),
    isHidden: name => name === 'NET_NETMASK' && autopilot.parameters.get('NET_ENABLE')?.value === 0,
  })
  const { same, said } = await run(way, 'NET_ENABLE,1\nNET_NETMASK,24', { apply: true })
  t.equal(same, true, said)
  t.match(said, /1 not known: .*hidden/)
  t.equal(autopilot.parameters.get('NET_NETMASK')?.value, 24)
})

t.test('a vehicle that is armed between two writes is left alone', async t => {
  const autopilot = await fake(t, ardupilot)
  autopilot.onSet = () => {
    autopilot.armed = true
    autopilot.heartbeat()
  }
  const { same } = await run(autopilot.endpoint, 'NET_ENABLE,1\nNET_NETMASK,24\nSERIAL2_BAUD,921', {
    apply: true,
  })
  t.match((same as Error).message, /armed meanwhile: 1 of 3 were written/)
  t.equal(autopilot.parameters.get('SERIAL2_BAUD')?.value, 57)
})

t.test('nobody there: one message that says what to look at', async t => {
  const { same } = await run(`udpout:127.0.0.1:${await freePort()}`, 'NET_ENABLE,1', { findMs: 300 })
  t.ok(same instanceof UserError)
  t.match((same as Error).message, /No autopilot is heard on udpout:.*wired/)
})

t.test('the command: exit codes, and no writing without being told to', async t => {
  const { ports, vehicle } = await simulator(t)
  const connect = ['--connect', `udpout:127.0.0.1:${ports.udp}`]
  const command = async (...args: string[]) => {
    const child = start(bins.agent, ['vehicle', 'params', ...args])
    return { code: await child.ended, output: child.output() }
  }
  const file = ['--file', 'copter-4.5-serial']
  const config = join(temporaryFolder(t), 'agent.yaml')
  const agent = { drone: 'kes1', student: 's.onnx', camera: { source: 'v.mp4' } }
  writeFileSync(config, JSON.stringify({ ...agent, vehicle: { endpoint: connect[1] } }))
  t.match(await command('--check', ...file, '--config', config), { code: 1, output: /2 of 8 parameters/ })
  t.match(await command('--apply', ...file, ...connect), { code: 2, output: /add --yes/ })
  t.equal(vehicle.parameters.find('BRD_SER2_RTSCTS')?.value, 2)
  t.match(await command('--apply', '--yes', ...file, ...connect), { code: 0, output: /All 8 parameters/ })
  t.match(await command('--check', ...file), { code: 2, output: /expected --connect ENDPOINT, or --config/ })
  t.match(await command('--check', '--file', 'copter-9-serial', ...connect), {
    code: 2,
    output: /There is no parameter file "copter-9-serial": .*copter-4\.6-serial/,
  })
})
