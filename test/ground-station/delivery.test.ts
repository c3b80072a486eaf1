import { Delivery, type OutgoingUpdate } from '@kestrel/ground-station'
import { applyUpdate, parameterDigest, readUpdateHeader } from '@kestrel/models'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const P = 60

function vector(seed: number | string): Float32Array {
  const rng = createRng(seed)
  return Float32Array.from({ length: P }, () => rng.normal())
}

interface Weights {
  version: number
  parameters: Float32Array
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const digestOf = ({ parameters }: Weights) => parameterDigest(parameters)

/** A drone as agent/student/applier.ts has it: what it flies, what it can go back to, what it does not take again. */
class Drone {
  flown: Weights = { version: 0, parameters: vector('shipped') }
  previous: Weights | undefined
  rolledBack: Uint8Array[] = []

  report() {
    const { flown, rolledBack } = this
    return { version: flown.version, digest: digestOf(flown), rolledBack }
  }

  isBarred(weights: Weights): boolean {
    return this.rolledBack.some(digest => hex(digest) === hex(digestOf(weights)))
  }

  /** @returns whether it was applied */
  apply(update: OutgoingUpdate): boolean {
    try {
      const { version, parameters } = applyUpdate(update.bytes, this.flown)
      if (this.isBarred({ version, parameters })) return false
      this.previous = this.flown
      this.flown = { version, parameters }
      return true
    } catch {
      return false
    }
  }

  rollBack(): void {
    if (this.previous === undefined) return
    this.rolledBack = [...this.rolledBack, digestOf(this.flown)].slice(-16)
    this.flown = this.isBarred(this.previous) ? { version: 0, parameters: vector('shipped') } : this.previous
    this.previous = this.flown.version === 0 ? undefined : { version: 0, parameters: vector('shipped') }
  }
}

function ground(init: { flown?: Weights; previous?: Weights; issued?: number; rejected?: string[] } = {}) {
  const clock = new VirtualClock()
  const events: string[] = []
  const { rejected, ...known } = init
  const delivery = new Delivery({
    chain: { shipped: vector('shipped'), codec: 'delta', historyVersions: 3, ...known },
    rejected,
    clock,
    log: silentLog,
    onRounded() {},
    onSwap: before => events.push(before === undefined ? 'moved' : `swap from ${before.version}`),
    onRolledBack: () => events.push('rolled back'),
  })
  return { delivery, clock, events }
}

/** One phase of training moves some weights. */
function phase(delivery: Delivery, seed: number | string): OutgoingUpdate | undefined {
  delivery.beginPhase()
  if (delivery.awaitsRollBack) return delivery.sendBackAfterWaiting()
  if (delivery.pending !== undefined) return undefined
  const rng = createRng(`${seed}/phase`)
  const target = delivery.flown.parameters.map(value => (rng.float() < 0.2 ? value + rng.normal() : value))
  const draft = delivery.draft(target)
  return draft === undefined ? undefined : delivery.send(draft)
}

/** The drone takes an update and answers. @returns what the ground sends on that */
function take(delivery: Delivery, drone: Drone, update: OutgoingUpdate) {
  const applied = drone.apply(update)
  const { version: modelVersion, ...rest } = drone.report()
  return delivery.acknowledge({ version: update.version, applied, modelVersion, ...rest })
}

function flyTwo() {
  const { delivery, events } = ground()
  const drone = new Drone()
  take(delivery, drone, phase(delivery, 1)!)
  const first = drone.flown
  take(delivery, drone, phase(delivery, 2)!)
  t.same(events, ['swap from 0', 'swap from 1'])
  events.length = 0
  return { delivery, drone, events, first }
}

t.test(
  'the pilot rolled back: the ground accepts it, starts again from there, and brings nothing back',
  async t => {
    const { delivery, drone, events, first } = flyTwo()
    const bad = digestOf(drone.flown)
    drone.rollBack()
    t.equal(delivery.reconcile(drone.report()), undefined, 'no catching up')
    t.same(events, ['rolled back'])
    t.equal(delivery.flown.version, 1)
    t.same(delivery.flown.parameters, first.parameters)
    t.same(delivery.rejected, [hex(bad)])
    t.notOk(delivery.awaitsRollBack)
    t.equal(delivery.previous.version, 0, 'what was before that')
    const next = phase(delivery, 3)!
    t.match(next, { baseVersion: 1, version: 3 })
    take(delivery, drone, next)
    t.equal(drone.flown.version, 3)
    t.same(events, ['rolled back', 'swap from 1'])
  },
)

t.test('an update that was under way when the pilot rolled back is answered with what flies', async t => {
  const { delivery, drone, events } = flyTwo()
  const late = phase(delivery, 3)!
  drone.rollBack()
  t.equal(take(delivery, drone, late), undefined, 'its base is gone; nothing is brought back')
  t.same(events, ['rolled back'])
  t.equal(delivery.flown.version, 1)
  t.equal(delivery.pending, undefined)
})

t.test(
  'the ground rejects what flies: it waits, and sends the weights to go back to where nothing happens',
  async t => {
    const { delivery, drone, events, first } = flyTwo()
    t.ok(delivery.reject())
    t.ok(delivery.awaitsRollBack)
    t.same(
      [phase(delivery, 3), phase(delivery, 4)],
      [undefined, undefined],
      'nothing is built on weights that are to go',
    )
    const back = phase(delivery, 5)!
    t.equal(take(delivery, drone, back), undefined)
    t.same(events, ['rolled back'])
    // What the update does not carry is as it was, what it does is rounded.
    const distance = Math.max(
      ...drone.flown.parameters.map((value, i) => Math.abs(value - first.parameters[i])),
    )
    t.ok(distance < 2e-3, `${distance}`)
    t.notOk(delivery.awaitsRollBack)
    t.match(phase(delivery, 6), { baseVersion: back.version })
  },
)

t.test('nothing is before the student as shipped', async t => {
  const { delivery } = ground()
  t.notOk(delivery.reject())
  t.notOk(delivery.awaitsRollBack)
})

t.test('a ground station that restarted knows what was rejected, and what was before', async t => {
  const { drone, delivery } = flyTwo()
  delivery.reject()
  const { flown, previous, issued, rejected } = delivery
  const { delivery: after, events } = ground({ flown, previous, issued, rejected })
  t.ok(after.awaitsRollBack)
  drone.rollBack()
  t.equal(after.reconcile(drone.report()), undefined)
  t.same(events, ['rolled back'])
  t.equal(after.flown.version, 1)
  const { delivery: forgetful, events: its } = ground({ flown, issued })
  const home = forgetful.reconcile(drone.report())!
  t.equal(home.codec, 'checkpoint', 'one that does not know them sends all weights')
  t.ok(its.includes('rolled back'))
  t.not(hex(readUpdateHeader(home.bytes).resultDigest), rejected[0], 'though not those that were bad')
  take(forgetful, drone, home)
  t.same(digestOf(drone.flown), forgetful.flown.digest)
  const off = Math.max(...drone.flown.parameters.map((value, i) => Math.abs(value - vector('shipped')[i])))
  t.ok(off < 2e-3, `the shipped ones are all that it knows: ${off}`)
})

t.test(
  'whatever is lost, rejected, rolled back or restarted: both meet again, and bad weights stay away',
  async () => {
    const event = fc.constantFrom(
      'phase',
      'phase',
      'lost',
      'refused',
      'pilot',
      'reject',
      'order',
      'status',
      'restart',
      'crash',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 40 }), async events => {
        let { delivery, clock } = ground()
        const drone = new Drone()
        /** Weights that were bad, and so many updates later still must not fly. */
        const send = (update: OutgoingUpdate | undefined) => {
          for (let hops = 0; update !== undefined; hops++) {
            if (hops > 4) throw new Error('they answer each other for ever')
            update = take(delivery, drone, update)
            if (drone.isBarred(drone.flown)) throw new Error('it flies what was rolled back')
          }
        }
        const order = () => {
          if (delivery.rejected.at(-1) === hex(digestOf(drone.flown))) drone.rollBack()
        }
        for (const [i, what] of events.entries()) {
          await clock.advanceTo(10_000 * (i + 1))
          if (what === 'phase') send(phase(delivery, i))
          if (what === 'lost') phase(delivery, i)
          if (what === 'refused') {
            const update = phase(delivery, i)
            const { version: modelVersion, ...rest } = drone.report()
            if (update !== undefined)
              delivery.acknowledge({ version: update.version, applied: false, modelVersion, ...rest })
          }
          if (what === 'pilot') drone.rollBack()
          if (what === 'reject') delivery.reject()
          if (what === 'order') order()
          if (what === 'status') send(delivery.reconcile(drone.report()))
          if (what === 'restart') {
            const { flown, previous, issued, rejected } = delivery
            ;({ delivery, clock } = ground({ flown, previous, issued, rejected }))
          }
          // Its newest slot was damaged.
          if (what === 'crash' && drone.previous !== undefined) {
            drone.flown = drone.previous
            drone.previous = undefined
          }
        }
        for (let i = 0; i < 8; i++) {
          await clock.advanceTo(10_000 * (events.length + i + 1))
          send(delivery.reconcile(drone.report()))
          if (i > 3) send(phase(delivery, `end ${i}`))
        }
        if (delivery.awaitsRollBack) throw new Error('it waits for ever')
        if (hex(digestOf(drone.flown)) !== hex(delivery.flown.digest))
          throw new Error('they fly different weights')
        if (drone.flown.version !== delivery.flown.version) throw new Error('under different numbers')
      }),
      { numRuns: 2000 },
    )
  },
)
