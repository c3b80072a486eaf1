import type { RgbImage } from '@kestrel/models'

/**
 * How many quarter turns clockwise the picture needs to stand upright, from a container's or picture's display
 * matrix (ISO/IEC 14496-12, 6.2.2: nine 32-bit numbers, of which the first four hold the rotation); 0 for none and for
 * anything that is no quarter turn.
 */
export function quarterTurns(matrix: Buffer | null): number {
  if (matrix === null || matrix.length < 36) return 0
  const a = matrix.readInt32LE(0)
  const b = matrix.readInt32LE(4)
  const turns = Math.atan2(b, a) / (Math.PI / 2)
  return Number.isInteger(Math.round(turns * 1000) / 1000) ? (Math.round(turns) + 4) % 4 : 0
}

/** The picture turned clockwise by that many quarters. */
export function rotate(image: RgbImage, turns: number): RgbImage {
  if (turns === 0) return image
  const { width, height, data } = image
  const upright = turns === 2
  const [outWidth, outHeight] = upright ? [width, height] : [height, width]
  const out = new Uint8Array(data.length)
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++, from += 3) {
      const [column, row] =
        turns === 1 ? [height - 1 - y, x] : upright ? [width - 1 - x, height - 1 - y] : [y, width - 1 - x]
      const to = 3 * (row * outWidth + column)
      out[to] = data[from]
      out[to + 1] = data[from + 1]
      out[to + 2] = data[from + 2]
    }
  }
  return { width: outWidth, height: outHeight, data: out }
}
