import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { decodeClip, decodeVideoFile, encodeSegment, MovieWriter, splitPictures } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import { test } from 'tap'

/** Stripes that move with every picture: one cannot be taken for another. */
function stripes(i: number, width = 192, height = 112): RgbImage {
  const data = new Uint8Array(3 * width * height)
  for (let k = 0; k < data.length; k++) {
    const [x, y] = [Math.floor(k / 3) % width, Math.floor(k / 3 / width)]
    data[k] = ((x >> 4) + (y >> 4) + i) % 5 < 2 ? 220 : 40
  }
  return { width, height, data }
}

/** Mean difference of two pictures' bytes. */
function difference(a: RgbImage, b: RgbImage): number {
  return a.data.reduce((sum, value, k) => sum + Math.abs(value - b.data[k]), 0) / a.data.length
}

for (const codec of ['h264', 'hevc', 'av1'] as const) {
  test(`A ${codec} clip that was taken apart decodes picture by picture, in the order of time`, async t => {
    const images = Array.from({ length: 11 }, (_, i) => stripes(i))
    const clip = await encodeSegment(images, { codec, targetKbps: 600, durationS: 10 })
    const found: RgbImage[] = []
    for await (const image of decodeClip(splitPictures(clip, codec), codec)) found.push(image)
    t.equal(found.length, images.length)
    for (const [i, image] of found.entries()) {
      const distances = images.map(original => difference(original, image))
      t.equal(distances.indexOf(Math.min(...distances.slice(0, 5))) % 5, i % 5, `picture ${i}`)
    }
    // The n-th picture is the n-th frame, as players of logs expect: none waits for one that comes later.
    const begin: RgbImage[] = []
    for await (const image of decodeClip(splitPictures(clip, codec).slice(0, 3), codec)) begin.push(image)
    t.same(begin, found.slice(0, 3))
  })
}

test('A reader that stops early leaves nothing open; a damaged clip is refused by name', async t => {
  const images = Array.from({ length: 6 }, (_, i) => stripes(i))
  const clip = await encodeSegment(images, { codec: 'h264', targetKbps: 600, durationS: 10 })
  const units = splitPictures(clip, 'h264')
  for await (const image of decodeClip(units, 'h264')) {
    t.ok(difference(image, images[0]) < 20)
    break
  }
  const without = units.slice(1)
  await t.rejects(async () => {
    for await (const image of decodeClip(without, 'h264')) t.ok(image)
  }, /h264 clip is damaged/)
})

test('A film has the pictures and times that were put in', async t => {
  const path = join(t.testdir(), 'film.mp4')
  const images = Array.from({ length: 5 }, (_, i) => stripes(i))
  const times = [0, 400, 500, 1700, 1800]
  const movie = await MovieWriter.open(path, images[0])
  for (const [i, image] of images.entries()) await movie.add(image, times[i])
  await t.rejects(movie.add(stripes(0, 64, 64), 2000), /takes no picture of 64x64/)
  await movie.finish()
  const found: number[] = []
  for await (const { image, ptsMs, index } of decodeVideoFile(path)) {
    found.push(Math.round(ptsMs))
    t.ok(difference(image, images[index]) < 8, `picture ${index}`)
  }
  t.same(found, times)
  rmSync(path)
  await t.rejects(MovieWriter.open('/nowhere/at/all/film.mp4', images[0]), /Cannot write/)
})
