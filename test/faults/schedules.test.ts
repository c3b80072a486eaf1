import fc from 'fast-check'
import t from 'tap'
import { type Fault, fly } from './flight.js'
import { PERIOD_S } from './world.js'

// Version chain, applier, outbox and ground station against links that fail in every way, in virtual time. KESTREL_SCHEDULES=N flies more of them;
// KESTREL_SEED=N others.

const runs = Number(process.env.KESTREL_SCHEDULES ?? 1000)
const seed = Number(process.env.KESTREL_SEED ?? 20261128)
t.setTimeout(600_000)

/** Often when an update is on its way, which is when things get interesting. */
const atS = fc.oneof(
  fc.double({ min: 0, max: 150, noNaN: true }),
  fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.double({ min: 1, max: 3, noNaN: true }))
    .map(([n, s]) => n * PERIOD_S + s),
)
const side = fc.constantFrom('drone' as const, 'ground' as const)
const share = fc.constantFrom(0.1, 0.3, 0.6)
const short = fc.integer({ min: 5, max: 60 })
const outageS = fc.oneof(
  { weight: 12, arbitrary: short },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 600 }) },
)
const clockS = fc.constantFrom(0, 0, 0, -3600, -20, 45, 86_400)

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant('outage' as const), atS, side, forS: outageS, noticed: fc.boolean() }),
  fc.record({
    kind: fc.constant('slow' as const),
    atS,
    side,
    forS: short,
    kbps: fc.constantFrom(32, 8),
    rttS: fc.constantFrom(2, 8),
  }),
  fc.record({
    kind: fc.constant('noise' as const),
    atS,
    side,
    forS: fc.integer({ min: 30, max: 150 }),
    duplicates: share,
    reordered: share,
    lost: share,
  }),
  fc.record({ kind: fc.constant('broker' as const), atS, forS: fc.integer({ min: 0, max: 30 }) }),
  fc.record({
    kind: fc.constant('crash' as const),
    atS,
    side,
    forS: fc.integer({ min: 0, max: 30 }),
    back: fc.constantFrom(0, 0, 1, 2, 5, 99),
    clockS,
  }),
  fc.record({
    kind: fc.constant('rollBack' as const),
    atS,
    by: fc.constantFrom('pilot' as const, 'ground' as const),
  }),
)

t.test(
  `${runs} random fault schedules: the version chain heals, nothing unknown flies, no segment is lost unsaid`,
  async t => {
    const sum = { swaps: 0, made: 0, taken: 0, dropped: 0, unconfirmed: 0, slowestS: 0 }
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(fault, { minLength: 2, maxLength: 8 }), async (world, plan) => {
        const { faults, log, healedS, swaps, segments } = await fly(world, plan)
        if (faults.length > 0) throw new Error(`${faults.join('; ')}\n${log.join('\n')}`)
        sum.swaps += swaps
        sum.made += segments.made
        sum.taken += segments.taken
        sum.dropped += segments.dropped
        sum.unconfirmed += segments.unconfirmed
        sum.slowestS = Math.max(sum.slowestS, healedS)
      }),
      { numRuns: runs, seed, endOnFailure: true },
    )
    t.comment(
      `seed ${seed}: ${sum.swaps} swaps; of ${sum.made} segments ${sum.taken} arrived, ${sum.dropped} were dropped, ` +
        `${sum.unconfirmed} dropped without knowing; healed within ${sum.slowestS} s`,
    )
    t.ok(sum.swaps > 5 * runs, 'learning went on')
    t.ok(sum.dropped > 0 && sum.taken > sum.made / 2, 'the outbox was full at times, and yet most arrived')
  },
)
