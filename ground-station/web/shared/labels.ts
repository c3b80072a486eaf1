import { getBytes } from './api.js'

/** A class for each pixel, row by row; `IGNORE` where there is none. */
export interface Labels {
  width: number
  height: number
  data: Uint8Array
}

export const IGNORE = 255

export type Colour = [number, number, number]

/** Width and height as uint16, little-endian, then a byte for each pixel (see ground-station/dashboard/labels.ts). */
export function readLabels(message: Uint8Array): Labels {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  if (message.length < 4) throw new Error('Labels came cut off')
  const [width, height] = [view.getUint16(0, true), view.getUint16(2, true)]
  if (message.length !== 4 + width * height) {
    throw new Error(`Labels of ${width}x${height} came with ${message.length - 4} bytes`)
  }
  return { width, height, data: message.subarray(4) }
}

export async function fetchLabels(url: string, options: { signal?: AbortSignal } = {}): Promise<Labels> {
  return readLabels(await getBytes(url, options))
}

/** RGBA of labels in the colours of their classes; unlabelled pixels are clear. */
export function paintLabels(labels: Labels, palette: Colour[]): Uint8ClampedArray<ArrayBuffer> {
  const out = new Uint8ClampedArray(4 * labels.data.length)
  for (let i = 0; i < labels.data.length; i++) {
    const colour = palette[labels.data[i]]
    if (colour === undefined) continue
    out.set(colour, 4 * i)
    out[4 * i + 3] = 255
  }
  return out
}

/** RGBA that marks where two maps of one size differ; clear where they agree, or where the truth has no label. */
export function paintDifference(
  truth: Labels,
  found: Labels,
  colour: Colour,
): Uint8ClampedArray<ArrayBuffer> {
  if (truth.width !== found.width || truth.height !== found.height) {
    throw new Error(
      `Labels of ${truth.width}x${truth.height} and ${found.width}x${found.height} cannot be compared`,
    )
  }
  const out = new Uint8ClampedArray(4 * truth.data.length)
  for (let i = 0; i < truth.data.length; i++) {
    if (truth.data[i] === IGNORE || truth.data[i] === found.data[i]) continue
    out.set(colour, 4 * i)
    out[4 * i + 3] = 255
  }
  return out
}

/** Share 0..1 of the labelled pixels on which two maps agree; undefined where nothing is labelled. */
export function agreement(truth: Labels, found: Labels): number | undefined {
  let labelled = 0
  let same = 0
  for (let i = 0; i < truth.data.length; i++) {
    if (truth.data[i] === IGNORE) continue
    labelled++
    if (truth.data[i] === found.data[i]) same++
  }
  return labelled === 0 ? undefined : same / labelled
}
