import { type Colour, type LabelMap, type RgbImage, resizeLabels } from '@kestrel/models'

/** A picture with labels over it in the colours of their classes; unlabelled pixels stay as they are. @param opacity 0..1 */
export function withLabels(
  image: RgbImage,
  labels: LabelMap | undefined,
  palette: Colour[],
  opacity = 0.55,
): RgbImage {
  if (labels === undefined) return image
  const { width, height } = image
  const { data } = resizeLabels(labels, width, height)
  const out = Uint8Array.from(image.data)
  for (let i = 0; i < data.length; i++) {
    const colour = palette[data[i]]
    if (colour === undefined) continue
    for (let c = 0; c < 3; c++) {
      out[3 * i + c] = Math.round((1 - opacity) * out[3 * i + c] + opacity * colour[c])
    }
  }
  return { width, height, data: out }
}

/** Pictures of one height in a row. */
export function beside(images: RgbImage[]): RgbImage {
  const height = Math.min(...images.map(image => image.height))
  const width = images.reduce((sum, image) => sum + image.width, 0)
  const data = new Uint8Array(3 * width * height)
  let left = 0
  for (const image of images) {
    for (let y = 0; y < height; y++) {
      data.set(image.data.subarray(3 * y * image.width, 3 * (y + 1) * image.width), 3 * (y * width + left))
    }
    left += image.width
  }
  return { width, height, data }
}
