import { type ChoiceOptions, chooseEncoder, SegmentEncoder } from '@kestrel/agent'
import { decodeSegment } from '@kestrel/link'
import t from 'tap'
import { movingScene } from '../link/pictures.js'

const choose = (more: Partial<ChoiceOptions>) =>
  chooseEncoder({ codec: 'h264', wanted: 'auto', present: () => true, trial: async () => {}, ...more })
const works =
  (...kinds: string[]) =>
  async (_: string, kind: string) => {
    if (!kinds.includes(kind)) throw new Error(`no ${kind} device`)
  }

t.test('the first that passes its trial, and one line that says so', async t => {
  t.same(await choose({}), { kind: 'nvenc', reason: 'nvenc, which passed a trial' })
  t.same(await choose({ trial: works('v4l2m2m') }), {
    kind: 'v4l2m2m',
    reason:
      'v4l2m2m, which passed a trial; nvenc does not work: no nvenc device; vaapi does not work: no vaapi device',
  })
  t.same(await choose({ present: kind => kind === 'vaapi', trial: works() }), {
    kind: 'software',
    reason: 'software; vaapi does not work: no vaapi device',
  })
})

t.test('where there is no device nothing is tried', async t => {
  const tried: string[] = []
  const trial = async (_: string, kind: string) => void tried.push(kind)
  const choice = await choose({ present: () => false, trial })
  t.same(choice, { kind: 'software', reason: 'software; no hardware encoder is there' })
  await choose({ wanted: 'software', trial })
  t.same(tried, [])
})

t.test('one that is asked for is tried alone', async t => {
  const tried: string[] = []
  const trial = async (codec: string, kind: string) => void tried.push(`${codec} ${kind}`)
  t.match(await choose({ wanted: 'v4l2m2m', present: () => false, trial, codec: 'hevc' }), {
    kind: 'v4l2m2m',
  })
  t.same(tried, ['hevc v4l2m2m'])
  t.match(await choose({ wanted: 'vaapi', trial: works('nvenc') }), {
    kind: 'software',
    reason: /vaapi does not work/,
  })
})

t.test('the real trial, in a process of its own, comes to a decision', async t => {
  for (const wanted of ['nvenc', 'vaapi', 'v4l2m2m'] as const) {
    const { kind, reason } = await chooseEncoder({ codec: 'h264', wanted })
    t.match(reason, kind === wanted ? /passed a trial/ : /does not work: ./, reason)
  }
  // No hardware does this: the trial says it in words.
  t.match(await chooseEncoder({ codec: 'av1', wanted: 'nvenc' }), { reason: /there is no av1 for nvenc/ })
})

t.test('where it fails later no segment is lost, and software goes on', async t => {
  const failures: string[] = []
  const encoder = new SegmentEncoder({ onFailure: reason => failures.push(reason) })
  t.teardown(() => encoder.stop())
  encoder.use('nvenc')
  for (let i = 0; i < 2; i++) {
    const images = [movingScene(i, 96, 64)]
    const bytes = await encoder.encode(images, { codec: 'av1', targetKbps: 200, durationS: 1 })
    t.equal((await decodeSegment(bytes, { codec: 'av1', width: 96, height: 64, frames: 1 })).length, 1)
  }
  t.match(failures, [/There is no nvenc encoder for av1/])
  t.equal(failures.length, 1)
})
