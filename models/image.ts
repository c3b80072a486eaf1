/** A picture: packed RGB, 8 bits a channel, row by row from the top left; `data` has 3·width·height bytes. */
export interface RgbImage {
  width: number
  height: number
  data: Uint8Array
}

/** A class index for each pixel, row by row; `IGNORE` where a pixel has no label. `data` has width·height bytes. */
export interface LabelMap {
  width: number
  height: number
  data: Uint8Array
}

/** The label of a pixel that counts for nothing: not in the loss, not in the metric. */
export const IGNORE = 255

/**
 * Labels at another size, by nearest neighbour with half-pixel centres (labels must never be blended).
 * Returns `map` itself when the size is already right.
 */
export function resizeLabels(map: LabelMap, width: number, height: number): LabelMap {
  if (map.width === width && map.height === height) return map
  const columns = nearest(map.width, width)
  const rows = nearest(map.height, height)
  const data = new Uint8Array(width * height)
  for (let y = 0, to = 0; y < height; y++) {
    const from = rows[y] * map.width
    for (let x = 0; x < width; x++) data[to++] = map.data[from + columns[x]]
  }
  return { width, height, data }
}

/** For each output index the input index whose centre is nearest. */
function nearest(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to }, (_, i) => Math.min(from - 1, Math.floor(((i + 0.5) * from) / to)))
}

/**
 * The planes of a picture one after the other, [3,H,W], as networks take them.
 *
 * @param out receives the planes (3·W·H bytes) so that a loop over frames allocates nothing
 */
export function toPlanar(
  image: RgbImage,
  out: Uint8Array = new Uint8Array(3 * image.width * image.height),
): Uint8Array {
  const { data } = image
  const plane = image.width * image.height
  if (data.length !== 3 * plane || out.length !== 3 * plane) {
    throw new RangeError(
      `A ${image.width}x${image.height} RGB image has ${3 * plane} bytes; found ${data.length} (output ${out.length})`,
    )
  }
  for (let i = 0, at = 0; i < plane; i++, at += 3) {
    out[i] = data[at]
    out[i + plane] = data[at + 1]
    out[i + 2 * plane] = data[at + 2]
  }
  return out
}
