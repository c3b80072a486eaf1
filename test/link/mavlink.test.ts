import {
  type Exchange,
  encode,
  FrameReader,
  Hub,
  message,
  OnboardComputerStatus,
  Persistent,
  parseEndpoint,
  type Transport,
} from '@kestrel/link/mavlink'
import { silentLog, UserError, VirtualClock } from '@kestrel/runtime'
import { common } from 'mavlink-mappings'
import { test } from 'tap'
import { buildFrame, parseFrame } from '../support/mavlink.js'
import { WireEnd } from '../support/wire.js'

const us = { system: 7, component: 191 }

test('Endpoints are read as they are written, and what makes no sense is refused', async t => {
  t.same(parseEndpoint('serial:/dev/ttyAMA0:921600'), {
    kind: 'serial',
    path: '/dev/ttyAMA0',
    baudRate: 921_600,
  })
  t.equal((parseEndpoint('serial:/dev/serial/by-id/usb-x-if00') as { baudRate: number }).baudRate, 57_600)
  t.same(parseEndpoint('udpin:0.0.0.0:14550'), { kind: 'udpin', host: '0.0.0.0', port: 14_550 })
  t.same(parseEndpoint('udpout:drone.local:14551'), { kind: 'udpout', host: 'drone.local', port: 14_551 })
  t.same(parseEndpoint('tcp:[::1]:5760'), { kind: 'tcp', host: '::1', port: 5760 })
  for (const wrong of [
    '',
    'tcp:5760',
    'udp:1.2.3.4:1',
    'tcp:host:0',
    'tcp:host:70000',
    'serial:ttyAMA0',
    'serial:/dev/x:9',
    'udpin:[::1]:14550',
    'tcp:a b:1',
  ]) {
    t.throws(() => parseEndpoint(wrong), UserError, wrong)
  }
})

test('ONBOARD_COMPUTER_STATUS, which the mappings lack, is packed as the standard has it', async t => {
  const status = new OnboardComputerStatus()
  Object.assign(status, { timeUsec: 123_456_789n, uptime: 4242, ramUsage: 900, statusFlags: 5 })
  status.cpuCores[1] = 33
  status.temperatureCore[7] = -12
  const frame = parseFrame(encode(status, 9, us))
  t.match(frame, { id: 390, system: 7, component: 191, sequence: 9 })
  t.match(frame.values, { time_usec: 123_456_789n, uptime: 4242, ram_usage: 900, status_flags: 5, type: 0 })
  t.same(frame.values.cpu_cores, [255, 33, 255, 255, 255, 255, 255, 255])
  t.equal((frame.values.temperature_core as number[])[7], -12)
  t.same(frame.values.fan_speed, [32767, 32767, 32767, 32767])
  t.equal((frame.values.link_rx_max as number[])[5], 2 ** 32 - 1)
  const [read] = new FrameReader().read(encode(status, 0, us))
  t.same({ ...read.data }, { ...status }, 'and read back')
})

test('Each line and each component counts its own frames, and a handler that fails harms nobody', async t => {
  const [mine, other] = WireEnd.pair()
  let handled = 0
  const hub = new Hub({
    transport: mine,
    log: silentLog,
    onMessage: () => {
      if (++handled === 1) throw new Error('first')
    },
  })
  await hub.start()
  const text = message(common.NamedValueFloat, { timeBootMs: 1, name: 'A', value: 1 })
  for (let i = 0; i < 300; i++) hub.send(text, us)
  hub.send(text, { system: 7, component: 100 })
  const frames = mine.sent.map(parseFrame)
  t.ok(frames.slice(0, 300).every(({ sequence }, i) => sequence === i % 256))
  t.equal(frames[300].sequence, 0)
  mine.hear(Buffer.concat([buildFrame('SYSTEM_TIME', {}), buildFrame('SYSTEM_TIME', {})]))
  t.same([handled, hub.counts.failed, hub.counts.messages], [2, 1, 2])
  t.equal(other.sent.length, 0)
})

const turn = () => new Promise(resolve => setImmediate(resolve))

/** A transport that can be had or not, and can be lost. */
class Flaky implements Transport {
  readonly lost: Promise<void>
  lose!: () => void
  readonly works: boolean

  constructor(works: boolean) {
    this.works = works
    this.lost = new Promise(resolve => {
      this.lose = resolve
    })
  }

  async start(exchange: Exchange): Promise<void> {
    if (!this.works) throw new UserError('there is none')
    exchange.opened({ write() {} }, 'flaky')
  }

  async stop(): Promise<void> {}
}

test('A transport is opened again for ever, at growing intervals', async t => {
  const clock = new VirtualClock()
  const exchange = { opened() {}, received() {}, closed() {} }
  let works = false
  const made: { atMs: number; transport: Flaky }[] = []
  const failures: string[] = []
  let opened = 0
  const persistent = new Persistent(
    () => {
      const transport = new Flaky(works)
      made.push({ atMs: clock.nowMs(), transport })
      return transport
    },
    { clock, seed: 'x', onFailure: reason => failures.push(reason), onOpen: () => opened++ },
  )
  await persistent.start(exchange)
  await turn()
  await clock.advanceTo(3_600_000)
  const gaps = made.slice(1).map(({ atMs }, i) => atMs - made[i].atMs)
  t.ok(made.length > 200 && made.length < 600, `${made.length} attempts in an hour`)
  t.ok(Math.max(...gaps) <= 15_000, 'never more than 15 s without an attempt')
  t.ok(Math.min(...gaps.slice(10)) >= 7000, 'nor a busy loop')
  t.equal(failures.length, made.length)
  works = true
  await clock.advanceTo(3_620_000)
  t.equal(opened, 1)
  const { length } = made
  await clock.advanceTo(4_000_000)
  t.equal(made.length, length, 'open, nothing is tried')
  made.at(-1)!.transport.lose()
  await turn()
  await clock.advanceTo(4_020_000)
  t.equal(opened, 2, 'lost, it is opened again')
  await persistent.stop()
})

test('Where the first must open, its absence is an error', async t => {
  const clock = new VirtualClock()
  const persistent = new Persistent(() => new Flaky(false), { clock, seed: 'x', firstMustOpen: true })
  await t.rejects(persistent.start({ opened() {}, received() {}, closed() {} }), UserError)
})
