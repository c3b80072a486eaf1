import type { RgbImage } from '@kestrel/models'

/** A moving scene: waves, a bright box and fine texture, all of it elsewhere in the next frame. */
export function movingScene(index: number, width: number, height: number): RgbImage {
  const data = new Uint8Array(3 * width * height)
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const box = Math.abs(x - ((7 * index) % width)) < width / 8 && Math.abs(y - height / 2) < height / 5
      const wave = 40 * Math.sin((x + 3 * index) / 9) + 30 * Math.cos((y - 2 * index) / 7)
      const grain = ((x + 5 * index) * 7919 + y * 104729 + (x + 5 * index) * y * 31) % 41
      data[at] = (box ? 160 : 80 + wave) + grain
      data[at + 1] = (box ? 120 : 70 + wave / 2 + (60 * y) / height) + grain
      data[at + 2] = (box ? 90 : 120 - wave / 2) + grain
    }
  }
  return { width, height, data }
}

/** One colour all over. */
export function plain(width: number, height: number, colour: [number, number, number]): RgbImage {
  const data = new Uint8Array(3 * width * height)
  for (let i = 0; i < data.length; i++) data[i] = colour[i % 3]
  return { width, height, data }
}

/** Peak signal-to-noise ratio over all channels, dB. */
export function psnr(a: RgbImage, b: RgbImage): number {
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2
  return 10 * Math.log10((255 * 255 * a.data.length) / sum)
}
