import { chooseSchemes, readSettings } from '@kestrel/evaluate'
import { sessionOptions } from '@kestrel/ground-station'
import { UserError } from '@kestrel/runtime'
import t from 'tap'

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof UserError) return error.message
    throw error
  }
  return 'it was taken'
}

t.test('defaults are those of a session', async t => {
  const { link, training, oneTime, tracking, jit, ...session } = readSettings()
  const { seed, ...expected } = sessionOptions()
  t.strictSame(session, expected)
  for (const group of [link, training, oneTime, tracking, jit]) t.ok(Object.keys(group).length > 0)
  t.ok(seed)
})

t.test('settings reach into groups', async t => {
  const settings = readSettings([
    'fraction=0.1',
    'asr.enabled=false',
    'jit.threshold=0.7',
    'link.videoCodec=av1',
  ])
  t.match(settings, {
    fraction: 0.1,
    asr: { enabled: false },
    jit: { threshold: 0.7 },
    link: { videoCodec: 'av1' },
  })
})

t.test('a wrong setting is refused by name', async t => {
  t.match(
    refusal(() => readSettings(['fracton=0.1'])),
    /"fracton".*did you mean "fraction"/s,
  )
  t.match(
    refusal(() => readSettings(['jit.treshold=0.1'])),
    /"jit\.treshold".*did you mean "threshold"/s,
  )
  t.match(
    refusal(() => readSettings(['fraction=2'])),
    /"fraction" is 2/,
  )
  t.match(
    refusal(() => readSettings(['fraction'])),
    /key=value/,
  )
  t.match(
    refusal(() => readSettings(['strategy=best'])),
    /"strategy" is "best"/,
  )
  t.match(
    refusal(() => readSettings(['seed=3'])),
    /"seed"/,
  )
  refusal(() => readSettings(['__proto__.polluted=1']))
  t.notOk('polluted' in {})
})

t.test('schemes are chosen by name', async t => {
  const names = (list: string) => chooseSchemes(list).map(({ name }) => name)
  t.strictSame(names('ams, none,ams:first-layers'), ['ams', 'none', 'ams:first-layers'])
  t.match(
    refusal(() => names('none,asm')),
    /"asm".*did you mean "ams"/,
  )
  t.match(
    refusal(() => names('ams:fist-layers')),
    /did you mean "ams:first-layers"/,
  )
  t.match(
    refusal(() => names('ams,ams')),
    /twice/,
  )
  t.match(
    refusal(() => names('ams,')),
    /empty/,
  )
  t.match(
    refusal(() => names('constructor')),
    /no scheme/,
  )
})
