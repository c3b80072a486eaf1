import { create } from '@bufbuild/protobuf'
import { type DroneLive, LiveState, newCursor, Traffic } from '@kestrel/ground-station/dashboard'
import { StatusSchema, TelemetrySchema, UpdateResultSchema } from '@kestrel/link'
import fc from 'fast-check'
import t from 'tap'

/** Stands still until it is told. */
function handClock() {
  let nowMs = 1_700_000_000_000
  return { nowMs: () => nowMs, sleep: async () => {}, advance: (ms: number) => (nowMs += ms) }
}
type HandClock = ReturnType<typeof handClock>

const telemetry = (more: object = {}) => create(TelemetrySchema, { fps: 10, samplingFps: 0.5, ...more })

/** A ground that hears telemetry each second. */
function hear(seconds: number, state: LiveState, clock: HandClock, name = 'kes1') {
  for (let s = 0; s < seconds; s++) {
    clock.advance(1000)
    state.observer.telemetry!(name, telemetry())
  }
}

t.test('however often a page asks, it gets every row and event once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constant('ask'), fc.constant('second'), fc.constant('event')), { maxLength: 200 }),
      async steps => {
        const clock = handClock()
        const state = new LiveState(clock)
        const cursor = newCursor()
        const got = { rows: [] as number[], events: [] as number[] }
        let seconds = 0
        let events = 0
        const ask = () => {
          const news = state.newsFor(cursor)
          got.rows.push(...(news?.rows.kes1 ?? []).map(row => row[0] as number))
          got.events.push(...(news?.events ?? []).map(({ seq }) => seq))
        }
        for (const step of steps) {
          if (step === 'ask') ask()
          else if (step === 'second') {
            hear(1, state, clock)
            seconds++
          } else {
            events++
            state.observer.event!('kes1', { timeMs: 0, severity: 'info', type: 'command', text: 'x' })
          }
        }
        ask()
        return (
          got.rows.length === seconds &&
          got.events.length === events &&
          got.rows.every((time, i) => i === 0 || time === got.rows[i - 1] + 1) &&
          got.events.every((seq, i) => seq === i + 1) &&
          state.newsFor(cursor) === undefined
        )
      },
    ),
  )
})

t.test('the history is half an hour at most, and a silence is a hole', t => {
  const clock = handClock()
  const state = new LiveState(clock)
  hear(3, state, clock)
  clock.advance(20_000)
  hear(2, state, clock)
  const rows = state.newsFor(newCursor())!.rows.kes1
  t.equal(rows.length, 6)
  t.same(
    rows.map(row => row[7]),
    [10, 10, 10, null, 10, 10],
  )
  hear(2500, state, clock)
  t.equal(state.newsFor(newCursor())!.rows.kes1.length, 1800)
  for (let i = 0; i < 2000; i++)
    state.observer.event!('kes1', { timeMs: 0, severity: 'info', type: 'command', text: 'x' })
  t.equal(state.newsFor(newCursor())!.events.length, 500)
  t.end()
})

t.test('the chain of versions: sent, flies, flown, refused, rolled back', t => {
  const clock = handClock()
  const state = new LiveState(clock)
  const { observer } = state
  const report = { phase: 1, trained: true, iterations: 1, loss: 1, frames: 2, heldOut: 1, samplingFps: 1 }
  const send = (version: number, baseVersion: number) =>
    observer.phase!('kes1', {
      ...{ ...report, timeMs: clock.nowMs(), sent: true, updatePeriodS: 10, durationMs: 1 },
      update: { version, baseVersion, weights: 5, bytes: 100 * version },
    })
  const answer = (version: number, applied: boolean, reason = '') =>
    observer.updateResult!('kes1', create(UpdateResultSchema, { version, applied, reason }))
  const chain = () =>
    (state.drones.get('kes1') as DroneLive).updates.map(row => `${row.version} ${row.state}`)
  send(1, 0)
  t.same(chain(), ['1 sent'])
  answer(1, true)
  send(2, 1)
  answer(2, false, 'canary')
  send(3, 1)
  answer(3, true)
  t.same(chain(), ['3 flies', '2 refused', '1 flown'])
  observer.status!('kes1', create(StatusSchema, { online: true, modelVersion: 1 }), undefined)
  t.same(chain(), ['3 rolled-back', '2 refused', '1 flies'])
  answer(3, false, 'not-newer')
  t.same(chain(), ['3 rolled-back', '2 refused', '1 flies'], 'a repeat says nothing')
  for (let version = 4; version < 100; version++) send(version, version - 1)
  t.equal(chain().length, 50)
  t.end()
})

t.test('arming and modes are events', t => {
  const clock = handClock()
  const state = new LiveState(clock)
  const fly = (vehicle: object) => state.observer.telemetry!('kes1', telemetry({ vehicle }))
  fly({ connected: true, kind: 'ArduCopter', mode: 'Stabilize' })
  fly({ connected: true, kind: 'ArduCopter', mode: 'Auto', armed: true })
  fly({ connected: false })
  t.same(
    state.newsFor(newCursor())!.events.map(({ text }) => text),
    ['Armed', 'Mode Auto', 'The autopilot is not heard any more'],
  )
  t.end()
})

t.test('traffic is what passed in the window, by its definition', t => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ after: fc.integer({ min: 100, max: 9000 }), bytes: fc.integer({ min: 0, max: 1e6 }) }),
        {
          minLength: 1,
          maxLength: 60,
        },
      ),
      messages => {
        const traffic = new Traffic(30_000)
        let nowMs = 1_000_000
        const all: { timeMs: number; bytes: number }[] = []
        for (const { after, bytes } of messages) {
          nowMs += after
          traffic.add(nowMs, bytes)
          all.push({ timeMs: nowMs, bytes })
        }
        const within = all.filter(({ timeMs }) => timeMs > nowMs - 30_000)
        const sum = within.reduce((total, { bytes }) => total + bytes, 0)
        const ms = Math.min(30_000, Math.max(1000, nowMs - all[0].timeMs))
        return Math.abs(traffic.kbps(nowMs) - (8 * sum) / ms) < 1e-6
      },
    ),
  )
  t.end()
})
