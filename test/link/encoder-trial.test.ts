import { encodeSegment, Scaler, tryEncoder } from '@kestrel/link'
import t from 'tap'
import { movingScene } from './pictures.js'

/** Software at about a quantiser, the way a trial asks for it. */
async function encode(frames: { width: number; height: number }[], quantiser: number): Promise<Uint8Array> {
  const scaler = new Scaler()
  const images = frames.map(frame => scaler.toRgb(frame as Parameters<Scaler['toRgb']>[0]))
  scaler.dispose()
  const targetKbps = quantiser < 30 ? 4000 : 100
  return encodeSegment(images, { codec: 'h264', targetKbps, durationS: 1 })
}

t.test('software passes', async t => {
  for (const codec of ['h264', 'hevc', 'av1'] as const) await tryEncoder(codec, 'software')
  await tryEncoder('h264', 'software', encode)
  t.pass()
})

t.test('an encoder that does something else does not', async t => {
  const fails = (what: RegExp, clip: typeof encode) =>
    t.rejects(tryEncoder('h264', 'software', clip), { message: what })
  await fails(/does not follow its quantiser/, frames => encode(frames, 22))
  await fails(/picture 0 comes back wrong/, frames => encode([frames[1], ...frames.slice(1)], 22))
  await fails(/3 pictures|says 4 pictures/, frames => encode(frames.slice(1), 22))
  await fails(/no h264 stream/, async () => new Uint8Array(100))
  await fails(/comes back wrong/, frames =>
    encodeSegment(
      frames.map((_, i) => movingScene(i, 512, 288)),
      { codec: 'h264', targetKbps: 4000, durationS: 1 },
    ),
  )
  await fails(/it hangs/, async () => {
    throw new Error('it hangs')
  })
})

t.test('what there is no encoder for', async t => {
  await t.rejects(tryEncoder('av1', 'nvenc'), /no av1 for nvenc/)
  const image = movingScene(0, 64, 64)
  await t.rejects(
    encodeSegment([image], { codec: 'av1', targetKbps: 100, durationS: 1, encoder: 'vaapi' }),
    RangeError,
  )
})
