import { keepDrawnFrames, loadScenario, RenderThread } from '@kestrel/simulator'
import t from 'tap'

t.setTimeout(120_000)

const size = { width: 64, height: 36 }
const frameBytes = 4 * 64 * 36

t.afterEach(() => keepDrawnFrames(0))

/** Frames of a moment from a thread that has just started, or that has ended. */
async function draw(times: number[], options: { stopped?: boolean; name?: string } = {}) {
  const { stopped = false, name = 'quiet-farmland' } = options
  const thread = new RenderThread({ scenario: loadScenario(name), ...size })
  if (stopped) await thread.stop()
  try {
    return await Promise.all(times.map(at => thread.render(at)))
  } finally {
    await thread.stop()
  }
}

t.test('frames that are kept are the frames that were drawn, and nobody can spoil them', async t => {
  keepDrawnFrames(10 * frameBytes)
  const first = await draw([30, 31])
  const pristine = structuredClone(first)
  for (const { image, labels } of first) {
    image.data.fill(0)
    labels.data.fill(0)
  }
  const again = await draw([30, 31], { stopped: true })
  t.strictSame(again, pristine)
  structuredClone(again[0].image.data, { transfer: [again[0].image.data.buffer as ArrayBuffer] })
  t.strictSame(await draw([30, 31], { stopped: true }), pristine)
  await t.rejects(draw([32], { stopped: true }), /stopped/, 'another moment must be drawn')
  await t.rejects(draw([30], { stopped: true, name: 'dawn-coast' }), /stopped/, 'and another scenario')
})

t.test('memory is bounded, and none is taken unasked', async t => {
  await draw([30])
  await t.rejects(draw([30], { stopped: true }), /stopped/)
  keepDrawnFrames(1.5 * frameBytes)
  const [one] = await draw([30, 31])
  t.strictSame(await draw([30], { stopped: true }), [one], 'what came first stays')
  await t.rejects(draw([31], { stopped: true }), /stopped/)
})
