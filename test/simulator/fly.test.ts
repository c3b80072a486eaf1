import { silentLog, UserError, VirtualClock } from '@kestrel/runtime'
import { fly, flyCommand } from '@kestrel/simulator'
import { test } from 'tap'
import { freePort } from '../support/processes.js'
import { hills, home, plan, roundTrip } from './flights.js'
import { overTcp } from './ground-station.js'

const scenario = { name: 'hills', seed: 1, mission: roundTrip, home, groundHeight: hills }

test('fly speaks of the scenario from the moment it is told, and ends when told', async t => {
  const stopping = new AbortController()
  const port = await freePort()
  const options = { mavlinkTcp: { host: '127.0.0.1', port }, from: 60, speed: 2 }
  let listening = () => {}
  const started = new Promise<void>(resolve => {
    listening = resolve
  })
  const log = { ...silentLog, info: (message: string) => message.includes('begins at 60 s') && listening() }
  const ended = fly(scenario, options, { log, signal: stopping.signal })
  await started
  const station = await overTcp(port)
  const { time_boot_ms, alt } = await station.next('GLOBAL_POSITION_INT')
  t.ok(Number(time_boot_ms) >= 60_000)
  t.equal(alt, Math.round(plan(1).stateAt(Number(time_boot_ms) / 1000).position.z * 1000))
  const first = station.heard.length
  await station.next('GLOBAL_POSITION_INT', v => Number(v.time_boot_ms) >= Number(time_boot_ms) + 1000, first)
  station.close()
  stopping.abort()
  await ended
})

test('fly ends by itself after the flight, which can be placed by its epoch', async t => {
  const clock = new VirtualClock(1e12)
  const { durationS } = plan(1)
  const signal = new AbortController().signal
  const mavlinkTcp = { host: '127.0.0.1', port: await freePort() }
  let isOver = false
  const ended = fly(scenario, { mavlinkTcp, epoch: 1e12 + 5000 }, { clock, log: silentLog, signal }).then(
    () => {
      isOver = true
    },
  )
  // Sockets open in real time, before the virtual one goes on.
  await new Promise(resolve => setTimeout(resolve, 200))
  await clock.advanceTo(1e12 + 5000 + durationS * 1000)
  t.equal(isOver, false)
  await clock.advanceTo(1e12 + 5000 + (durationS + 7) * 1000)
  await ended
  const late = fly(scenario, { mavlinkTcp, from: 9999 }, { clock, log: silentLog, signal })
  await t.rejects(late, UserError)
})

test('Options that make no sense are refused', async t => {
  const command = () =>
    flyCommand(
      () => scenario,
      async () => {},
    )
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
  const refuse = (argv: string[], expected: RegExp) =>
    t.throws(() => command().parse(['hills', ...argv], { from: 'user' }), expected)
  refuse(['--mavlink-udp', 'somewhere'], /expected host:port/)
  refuse(['--mavlink-tcp', '70000'], /expected host:port/)
  refuse(['--from', 'noon'], /expected a number/)
  refuse(['--speed', '0'], /0.1 to 100/)
  const parsed = command().parse(['hills', '--mavlink-udp', 'example.org:14550', '--mavlink-tcp', '5760'], {
    from: 'user',
  })
  t.match(parsed.opts(), {
    mavlinkUdp: { host: 'example.org', port: 14550 },
    mavlinkTcp: { host: '127.0.0.1', port: 5760 },
    from: 0,
    speed: 1,
  })
})
