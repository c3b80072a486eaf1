import { Liveness } from '@kestrel/link'
import t from 'tap'

t.test('an idle link is dead after one and a half pings, a busy one later', async t => {
  const link = new Liveness(10, 0)
  t.notOk(link.isDead(0, 15_000))
  t.ok(link.isDead(0, 15_001))
  link.heard(20_000)
  t.notOk(link.isDead(0, 35_000))
  // 64 kB at 64 kbit/s.
  t.notOk(link.isDead(64_000, 43_000))
  t.ok(link.isDead(64_000, 43_001))
})

t.test(
  'a link that was given up under load is waited for longer, until it shows what it carries',
  async t => {
    // 250 kB, a segment as by default, take 62.5 s at 32 kbit/s.
    const link = new Liveness(10, 0)
    t.ok(link.isDead(250_000, 62_500))
    link.gaveUp(0)
    t.ok(link.isDead(250_000, 62_500), 'an idle link that was lost says nothing about its speed')
    link.gaveUp(250_000)
    t.notOk(link.isDead(250_000, 62_500), 'enough from the second attempt on')
    for (let i = 0; i < 10; i++) link.gaveUp(1)
    t.ok(link.isDead(250_000, 265_001), 'but not for ever')
    link.arrived()
    t.ok(link.isDead(250_000, 140_001))
  },
)
