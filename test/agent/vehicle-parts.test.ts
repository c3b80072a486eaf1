import {
  Announcer,
  AutopilotWatch,
  LearningTriggers,
  MessageRates,
  Sampler,
  statusText,
  UplinkBudget,
  VehicleState,
} from '@kestrel/agent'
import { encode, kindOf, message, modeName } from '@kestrel/link/mavlink'
import fc from 'fast-check'
import { common, minimal } from 'mavlink-mappings'
import { test } from 'tap'
import { parseFrame } from '../support/mavlink.js'

const { MavAutopilot, MavType } = minimal
const { ACCEPTED, DENIED, TEMPORARILY_REJECTED } = common.MavResult

test('Mode names of the firmwares', async t => {
  t.equal(modeName(MavType.QUADROTOR, MavAutopilot.ARDUPILOTMEGA, 3), 'AUTO')
  t.equal(modeName(MavType.HEXAROTOR, MavAutopilot.ARDUPILOTMEGA, 17), 'BRAKE')
  t.equal(modeName(MavType.QUADROTOR, MavAutopilot.ARDUPILOTMEGA, 27), 'AUTO_RTL')
  t.equal(modeName(MavType.FIXED_WING, MavAutopilot.ARDUPILOTMEGA, 19), 'QLOITER')
  t.equal(modeName(MavType.FIXED_WING, MavAutopilot.ARDUPILOTMEGA, 10), 'AUTO')
  t.equal(modeName(MavType.GROUND_ROVER, MavAutopilot.ARDUPILOTMEGA, 15), 'GUIDED')
  t.equal(modeName(MavType.QUADROTOR, MavAutopilot.PX4, (4 << 16) | (4 << 24)), 'AUTO.MISSION')
  t.equal(modeName(MavType.QUADROTOR, MavAutopilot.PX4, 3 << 16), 'POSCTL')
  t.equal(modeName(MavType.QUADROTOR, MavAutopilot.ARDUPILOTMEGA, 8), 'mode 8', 'a number that was given up')
  t.equal(modeName(MavType.SUBMARINE, MavAutopilot.ARDUPILOTMEGA, 3), 'mode 3')
  t.same(
    [kindOf(MavType.QUADROTOR, 3), kindOf(MavType.VTOL_TILTROTOR, 3), kindOf(MavType.FIXED_WING, 12)],
    ['ArduCopter', 'ArduPlane', 'PX4'],
  )
})

const beat = (fields: Partial<minimal.Heartbeat> = {}) =>
  Object.assign(new minimal.Heartbeat(), {
    type: MavType.QUADROTOR,
    autopilot: MavAutopilot.ARDUPILOTMEGA,
    baseMode: 0,
    customMode: 0,
    ...fields,
  })
const wire = { name: 'wire', heard: 0 }

test('Only an autopilot is followed, and it is kept to', async t => {
  const watch = new AutopilotWatch()
  const from = (system: number, component = 1) => ({ system, component })
  t.notOk(watch.heard(from(255, 190), beat({ type: MavType.GCS, autopilot: MavAutopilot.INVALID }), wire, 0))
  t.notOk(watch.heard(from(1, 154), beat({ type: MavType.GIMBAL }), wire, 0), 'gimbal')
  t.notOk(watch.heard(from(1, 156), beat({ type: MavType.ADSB }), wire, 0), 'ADS-B')
  t.notOk(watch.heard(from(1, 191), beat({ type: MavType.ONBOARD_CONTROLLER }), wire, 0), 'companion')
  t.notOk(watch.heard(from(9, 1), beat({ type: MavType.GCS }), wire, 0), 'a station with component 1')
  t.notOk(watch.heard(from(9, 1), beat({ autopilot: MavAutopilot.INVALID }), wire, 0))
  t.equal(watch.followed, undefined)
  t.ok(watch.heard(from(5), beat(), wire, 1000), 'found')
  t.notOk(watch.heard(from(5), beat({ baseMode: 128 as minimal.MavModeFlag }), wire, 2000), 'not again')
  t.equal(watch.present?.armed, true)
  t.notOk(watch.heard(from(6), beat(), wire, 3000), 'another drone flies by')
  t.equal(watch.present?.system, 5)
  t.notOk(watch.check(6900))
  t.ok(watch.check(7000), 'lost after 5 s')
  t.notOk(watch.check(8000), 'once')
  t.notOk(watch.heard(from(6), beat(), wire, 9000), 'still its own')
  t.ok(watch.heard(from(5), beat(), wire, 10_000), 'found again')
  watch.check(20_000)
  t.ok(watch.heard(from(6), beat(), wire, 40_001), 'after half a minute another one is followed')
  const only = new AutopilotWatch({ system: 3 })
  t.notOk(only.heard(from(5), beat(), wire, 0))
  t.ok(only.heard(from(3), beat(), wire, 0))
})

/** Asks for rates on a clock of ours; answers are given by hand. */
function rates(wanted: [number, number][]) {
  const asked: { id: number; intervalUs: number; confirmation: number; atMs: number }[] = []
  let nowMs = 0
  const all = new MessageRates(new Map(wanted), (id, intervalUs, confirmation) =>
    asked.push({ id, intervalUs, confirmation, atMs: nowMs }),
  )
  const run = (untilMs: number, each = () => {}) => {
    for (; nowMs < untilMs; nowMs += 100) {
      each()
      all.tick(nowMs)
    }
  }
  return { all, asked, run, now: () => nowMs }
}

test('Rates are asked for one by one; lost answers again; refusals never', async t => {
  const { all, asked, run, now } = rates([
    [30, 20],
    [33, 10],
    [245, 1],
  ])
  run(1000)
  t.same(asked, [], 'nobody to ask')
  all.restart(now())
  run(2500)
  t.same(
    asked.map(({ id, confirmation }) => [id, confirmation]),
    [
      [30, 0],
      [30, 1],
    ],
    'one at a time, again after a second',
  )
  t.equal(asked[0].intervalUs, 50_000)
  all.acknowledged(ACCEPTED, now())
  t.equal(asked.at(-1)?.id, 33, 'the next one at once')
  all.acknowledged(DENIED, now())
  all.acknowledged(TEMPORARILY_REJECTED, now())
  t.same(all.refused, [33])
  const { length } = asked
  all.acknowledged(ACCEPTED, now())
  t.equal(asked.length, length, 'an answer that nobody waits for')
  const seen = () => {
    for (const id of [30, 30, 245]) all.seen(id)
  }
  run(now() + 5500, seen)
  t.equal(asked.length, length + 1, 'what was rejected for now is asked for later')
  all.acknowledged(ACCEPTED, now())
  run(now() + 120_000, seen)
  t.equal(asked.length, length + 1, 'all is well, nothing is asked')
  run(now() + 60_000, () => all.seen(245))
  const again = asked.slice(length + 1)
  t.ok(again.length > 0 && again.every(({ id }) => id === 30), 'what does not come is asked for again')
  all.restart(now())
  run(now() + 100)
  t.equal(asked.at(-1)?.id, 30, 'and everything after a reboot')
})

test('No answer at all: five tries, a rest, and on, never a storm', async t => {
  const { all, asked, run } = rates([
    [30, 20],
    [33, 10],
  ])
  all.restart(0)
  run(600_000)
  t.ok(asked.length > 60 && asked.length < 600, `${asked.length} requests in ten minutes`)
  all.pause()
  const { length } = asked
  run(700_000)
  t.equal(asked.length, length)
})

test('STATUSTEXT: chunks put together give the text, as a receiver does it', async t => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), fc.integer({ min: 1, max: 65_535 }), (text, id) => {
      const chunks = statusText(text, common.MavSeverity.INFO, id).map(
        (data, i) => parseFrame(encode(data, i, { system: 1, component: 191 })).values,
      )
      const plain = [...text.normalize('NFKD')].filter(c => c >= ' ' && c <= '~').join('')
      const expected = plain.slice(0, 199)
      // A receiver ends at the first chunk that is not full.
      const texts = chunks.map(values => String(values.text))
      if (texts.join('') !== expected) throw new Error(`${texts.join('|')} for ${expected}`)
      if (texts.some(part => part.length > 50)) throw new Error('too long')
      if (expected.length <= 50 && (chunks.length !== 1 || chunks[0].id !== 0))
        throw new Error('one, without id')
      if (expected.length > 50) {
        if (texts.at(-1)!.length === 50) throw new Error('the last one is full')
        if (chunks.some((values, i) => values.id !== id || values.chunk_seq !== i)) throw new Error('order')
      }
    }),
  )
  t.pass()
})

test('Only changes of state are announced, and no faster than they can be read', async t => {
  const said: string[] = []
  const announcer = new Announcer(({ text }) => said.push(text))
  const { NOTICE } = common.MavSeverity
  announcer.assume('learning', 'learning resumed')
  let now = 0
  const run = (ms: number, state?: (now: number) => string) => {
    for (const end = now + ms; now < end; now += 200) {
      if (state !== undefined) announcer.state('link', state(now), NOTICE, now)
      announcer.tick(now)
    }
  }
  announcer.state('learning', 'learning resumed', NOTICE, now)
  run(10_000, () => 'up')
  t.same(said, ['Kestrel: up'])
  run(20_000, at => (Math.floor(at / 400) % 2 === 0 ? 'down' : 'up'))
  t.same(said, ['Kestrel: up'], 'what flutters is not a state')
  run(60_000, at => (Math.floor(at / 1500) % 2 === 0 ? 'down' : 'up'))
  t.ok(said.length <= 14, `${said.length} in a minute`)
  run(20_000, () => 'down')
  t.equal(said.at(-1), 'Kestrel: down', 'what holds in the end was said')
})

test('Turns and take-off hasten the sampling; on the ground, disarmed, there is none', async t => {
  const triggers = new LearningTriggers({ turnDegS: 30 })
  const state = new VehicleState()
  const pilot = { system: 1, kind: 'ArduCopter', mode: 'AUTO', neighbour: wire }
  const calm = { hasten: false, grounded: false }
  const turn = (yaw: number, pitch = 0) => {
    state.motion = { attitude: { roll: 0, pitch: 0, yaw: 0 }, rates: { roll: 3, pitch, yaw } }
  }
  t.same(triggers.news(undefined, state), calm, 'without an autopilot as ever')
  t.same(triggers.news({ ...pilot, armed: false }, state), { hasten: false, grounded: true })
  turn(2)
  t.same(triggers.news({ ...pilot, armed: true }, state), calm, 'carried around on the ground')
  state.landed = common.MavLandedState.TAKEOFF
  turn(0)
  t.same(triggers.news({ ...pilot, armed: true }, state), { hasten: true, grounded: false }, 'take-off')
  t.same(triggers.news({ ...pilot, armed: true }, state), calm, 'once')
  state.landed = common.MavLandedState.IN_AIR
  turn(-0.6)
  t.match(triggers.news({ ...pilot, armed: true }, state), { hasten: true }, 'yaw')
  turn(0, 0.6)
  t.match(triggers.news({ ...pilot, armed: true }, state), { hasten: true }, 'pitch')
  turn(0.4)
  t.same(triggers.news({ ...pilot, armed: true }, state), calm, 'slowly')
  t.same(triggers.news({ ...pilot, armed: false }, state), calm, 'disarmed in the air is not the ground')
})

test('The sampler takes the next frame when hastened, no closer than it may', async t => {
  const sampler = new Sampler({ fps: 0.1 })
  t.ok(sampler.offer(0))
  const taken: number[] = []
  for (let ms = 100; ms <= 30_000; ms += 100) {
    if (ms >= 3000 && ms < 6000) sampler.hasten(1000)
    if (sampler.offer(ms)) taken.push(ms)
  }
  t.same(taken.slice(0, 3), [3000, 4000, 5000], 'at once, then once a second')
  t.ok(
    taken.slice(4).every((ms, i) => ms - taken[i + 3] >= 9900),
    'then as before',
  )
})

test('The uplink gives way to a slow link and a full radio, and comes back', async t => {
  const budget = new UplinkBudget()
  t.equal(budget.bound(200, 0), 200)
  budget.delivered(250_000, 20_000, 10_000)
  t.equal(budget.bound(200, 0), 80, 'a little less than what passed, 100 kbit/s')
  budget.delivered(50_000, 9000, 10_000)
  t.ok(budget.bound(200, 0) < 40)
  for (let i = 0; i < 3; i++) budget.delivered(1000, 6000, 10_000)
  t.ok(budget.bound(200, 0) < 40, 'neither fast nor slow')
  for (let i = 0; i < 12; i++) {
    budget.delivered(10_000, 1000, 10_000)
    budget.bound(200, 0)
  }
  t.equal(budget.bound(200, 0), 200)
  const good = { txbuf: 100, rssi: 200, remrssi: 200, noise: 40, remnoise: 40 }
  budget.radio(good, 1000)
  t.equal(budget.bound(200, 1000), 200)
  for (let i = 0; i < 4; i++) budget.radio({ ...good, txbuf: 10 }, 2000)
  t.ok(budget.bound(200, 2000) < 30)
  for (let i = 0; i < 30; i++) budget.radio(good, 3000)
  t.equal(budget.bound(200, 3000), 200)
  budget.radio({ ...good, remrssi: 50 }, 3000)
  t.equal(budget.bound(200, 3000), 100, 'a thin signal at the other end')
  t.equal(budget.bound(200, 20_000), 200, 'a radio that is silent says nothing')
  budget.radio({ ...good, rssi: 255, remrssi: 255, txbuf: 255 }, 21_000)
  t.equal(budget.bound(200, 21_000), 200, 'unknown')
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1e6), fc.nat(1e5), fc.nat(255), fc.nat(255)), { maxLength: 40 }),
      fc.double({ min: 1, max: 1000, noNaN: true }),
      (news, wanted) => {
        const any = new UplinkBudget()
        for (const [bytes, ms, txbuf, rssi] of news) {
          any.delivered(bytes, ms, 10_000)
          any.radio({ ...good, txbuf, rssi }, 0)
          const kbps = any.bound(wanted, 0)
          if (!(kbps > 0 && kbps <= wanted && kbps >= Math.min(wanted, 16))) throw new Error(`${kbps}`)
        }
      },
    ),
  )
})

test('message() gives what the wire carries', async t => {
  const data = message(common.NamedValueFloat, { timeBootMs: 7, name: 'KES_LAT_MS', value: 1.5 })
  t.match(parseFrame(encode(data, 0, { system: 1, component: 191 })).values, {
    time_boot_ms: 7,
    name: 'KES_LAT_MS',
    value: 1.5,
  })
})
