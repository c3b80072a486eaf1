import { VirtualClock } from '@kestrel/runtime'
import t from 'tap'

t.test('a virtual clock wakes sleepers in the order of their time', async t => {
  const clock = new VirtualClock(1000)
  const woken: [string, number][] = []
  void clock.sleep(30).then(() => woken.push(['late', clock.nowMs()]))
  void clock.sleep(10).then(async () => {
    woken.push(['early', clock.nowMs()])
    await clock.sleep(10)
    woken.push(['again', clock.nowMs()])
  })
  await clock.advanceTo(1100)
  t.same(woken, [
    ['early', 1010],
    ['again', 1020],
    ['late', 1030],
  ])
  t.equal(clock.nowMs(), 1100)
})

t.test('an aborted sleep returns at once and is forgotten', async t => {
  const clock = new VirtualClock()
  const abort = new AbortController()
  const sleeping = clock.sleep(1e9, abort.signal)
  abort.abort()
  await sleeping
  await clock.advanceTo(2e9)
  t.equal(clock.nowMs(), 2e9)
})

t.test('virtual time never runs backwards', async t => {
  const clock = new VirtualClock(500)
  await clock.advanceTo(100)
  t.equal(clock.nowMs(), 500)
})
