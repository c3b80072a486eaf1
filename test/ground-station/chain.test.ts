import { type OutgoingUpdate, UpdateChain, updateParts } from '@kestrel/ground-station'
import { applyUpdate, parameterDigest, readUpdateHeader } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

const P = 60

function vector(seed: number): Float32Array {
  const rng = createRng(seed)
  return Float32Array.from({ length: P }, () => rng.normal())
}

/** Changes a few weights. */
function trainedFrom(parameters: Float32Array, seed: number): Float32Array {
  const rng = createRng(`${seed}/trained`)
  return parameters.map(value => (rng.float() < 0.2 ? value + 0.01 * rng.normal() : value))
}

interface Drone {
  version: number
  parameters: Float32Array
}

const report = ({ version, parameters }: Drone) => ({ version, digest: parameterDigest(parameters) })

function apply(drone: Drone, update: OutgoingUpdate): Drone {
  const { version, parameters } = applyUpdate(update.bytes, drone)
  return { version, parameters }
}

function identical(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0
}

t.test('an update covers every difference, and its answer moves the chain on', async t => {
  const chain = new UpdateChain({ shipped: vector(1) })
  let drone: Drone = { version: 0, parameters: vector(1) }
  t.equal(chain.draft(vector(1)), undefined, 'nothing differs')
  const target = trainedFrom(vector(1), 2)
  const draft = chain.draft(target)!
  t.equal(chain.issued, 0, 'a draft changes nothing')
  chain.send(draft)
  t.throws(() => chain.send(draft), /under way/)
  t.equal(chain.flown.version, 0, 'not flown before the drone says so')
  drone = apply(drone, draft.update)
  t.equal(chain.observe(report(drone)), 'applied')
  t.equal(chain.pending, undefined)
  t.ok(identical(chain.flown.parameters, drone.parameters))
  t.ok(identical(draft.result.parameters, drone.parameters))
  const changed = target.filter((value, i) => value !== vector(1)[i]).length
  t.equal(draft.update.count, changed)
})

t.test('versions that were given out are never given again', async t => {
  const chain = new UpdateChain({ shipped: vector(1) })
  chain.send(chain.draft(trainedFrom(vector(1), 2))!)
  chain.drop()
  t.equal(chain.draft(trainedFrom(vector(1), 3))!.update.version, 2)
  chain.observe({ version: 40, digest: parameterDigest(vector(9)) })
  t.equal(chain.draft(vector(1))!.update.version, 41, 'and those that the drone has neither')
})

t.test('a drone that fell back to an earlier version is caught up by a delta', async t => {
  const chain = new UpdateChain({ shipped: vector(1), movementBits: 3, historyVersions: 4 })
  let drone: Drone = { version: 0, parameters: vector(1) }
  const flights: Drone[] = [drone]
  for (let i = 0; i < 10; i++) {
    drone = apply(drone, chain.send(chain.draft(trainedFrom(drone.parameters, i))!))
    chain.observe(report(drone))
    flights.push(drone)
  }
  for (const known of [flights[9], flights[7], flights[0]]) {
    const target = chain.flown.parameters
    t.equal(chain.observe(report(known)), 'moved', `version ${known.version}`)
    const { update, result } = chain.draft(target, true)!
    t.equal(update.codec, 'delta')
    t.equal(update.baseVersion, known.version)
    chain.send({ update, result })
    drone = apply(known, update)
    t.ok(identical(drone.parameters, target), 'exactly what flew before')
    t.equal(chain.observe(report(drone)), 'applied')
  }
  chain.observe(report(flights[0]))
  const rounded = chain.draft(flights[10].parameters)!.result.parameters
  t.notOk(identical(rounded, flights[10].parameters), 'unlike an ordinary update, which is rounded')
  t.equal(chain.observe(report(flights[3])), 'unknown', 'beyond the history')
})

t.test('a drone with weights that the ground does not have gets all of them', async t => {
  const chain = new UpdateChain({ shipped: vector(1) })
  const drone: Drone = { version: 7, parameters: vector(2) }
  t.equal(chain.observe(report(drone)), 'unknown')
  t.ok(chain.droneIsUnknown)
  const draft = chain.draft(chain.flown.parameters)!
  t.equal(draft.update.codec, 'checkpoint')
  t.ok(draft.update.version > 7)
  chain.send(draft)
  const healed = apply(drone, draft.update)
  t.equal(chain.observe(report(healed)), 'applied')
  t.notOk(chain.droneIsUnknown)
  t.equal(chain.draft(trainedFrom(healed.parameters, 1))!.update.codec, 'delta')
})

t.test('an update under way survives a restart', async t => {
  const before = new UpdateChain({ shipped: vector(1) })
  const { bytes, version } = before.send(before.draft(trainedFrom(vector(1), 2))!)
  const after = new UpdateChain({ shipped: vector(1), flown: { version: 0, parameters: vector(1) } })
  after.resume(bytes)
  t.same(after.pending, before.pending)
  t.equal(after.issued, version)
  const drone = applyUpdate(bytes, { version: 0, parameters: vector(1) })
  t.equal(after.observe({ version, digest: drone.digest }), 'applied')
  t.throws(() => after.resume(bytes), { name: 'UpdateRefused' })
})

t.test('whatever is lost, refused, forgotten or restarted: both sides meet again, bit by bit', async () => {
  const event = fc.constantFrom(
    'phase',
    'lost',
    'unanswered',
    'refused',
    'fall back',
    'strange',
    'status',
    'reset',
  )
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 40 }),
      fc.constantFrom('paper', 'delta', 'checkpoint'),
      (events, codec) => {
        const chain = new UpdateChain({ shipped: vector(1), historyVersions: 3, codec })
        let drone: Drone = { version: 0, parameters: vector(1) }
        const past: Drone[] = [drone]
        /** What the ground does with a report, as Delivery has it. */
        const meet = (deliver: boolean) => {
          const target = chain.flown.parameters
          const outcome = chain.observe(report(drone))
          if (outcome === 'unknown') chain.drop()
          if (outcome === 'moved' || outcome === 'unknown') {
            const draft = chain.draft(target)
            if (draft !== undefined) chain.send(draft)
          }
          if (chain.pending !== undefined && deliver) {
            drone = apply(drone, chain.pending)
            past.push(drone)
            if (chain.observe(report(drone)) !== 'applied') throw new Error('the answer was not understood')
          }
        }
        events.forEach((what, i) => {
          if (what === 'status') {
            meet(true)
            return
          }
          if (what === 'fall back') drone = past[i % past.length]
          else if (what === 'strange') drone = { version: drone.version + 3, parameters: vector(100 + i) }
          else if (what === 'reset') drone = past[0]
          else if (chain.pending === undefined) {
            const draft = chain.draft(trainedFrom(chain.flown.parameters, i))
            if (draft === undefined) return
            chain.send(draft)
            if (what === 'refused') chain.drop()
            if (what === 'lost' || what === 'refused') return
            try {
              drone = apply(drone, draft.update)
              past.push(drone)
            } catch {
              // It flies something else by now; the next report says so.
            }
            if (what === 'phase') chain.observe(report(drone))
          }
        })
        meet(true)
        meet(true)
        if (!identical(drone.parameters, chain.flown.parameters))
          throw new Error('they fly different weights')
        if (drone.version !== chain.flown.version)
          throw new Error(`version ${drone.version} and ${chain.flown.version}`)
        const update = chain.send(chain.draft(trainedFrom(drone.parameters, 99))!)
        apply(drone, update)
      },
    ),
    {
      numRuns: 1000,
      examples: [
        // The ground wants weights back of which the drone has the rounded copy already.
        [
          [
            'refused',
            'strange',
            'status',
            'phase',
            'reset',
            'phase',
            'status',
            'fall back',
            'unanswered',
          ] as const,
          'paper',
        ],
      ],
    },
  )
})

t.test('large updates go in parts that make up the whole', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 600 }), (bytes, size) => {
      const parts = updateParts({ baseVersion: 3, version: 4, bytes }, size)
      parts.forEach((part, i) => {
        if (part.part !== i || part.parts !== parts.length || part.version !== 4 || part.baseVersion !== 3) {
          throw new Error('misnumbered')
        }
        if (part.data.length > size) throw new Error('too large a part')
      })
      if (Buffer.compare(Buffer.concat(parts.map(({ data }) => data)), bytes) !== 0)
        throw new Error('not the whole')
    }),
  )
})

t.test('what is written names its codec and base', async t => {
  const chain = new UpdateChain({ shipped: vector(1), codec: 'paper' })
  const { bytes } = chain.draft(trainedFrom(vector(1), 2))!.update
  t.match(readUpdateHeader(bytes), { codec: 'paper', baseVersion: 0, version: 1, parameterCount: P })
})
