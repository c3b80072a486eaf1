import type { Teacher } from '@kestrel/ground-station'
import { encodeSegment, type Segment, VideoCodec } from '@kestrel/link'
import { buildDeepLab, type LabelMap, loadStudent, type RgbImage, type Student } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'

/** A world of coloured areas, small enough that a tiny student learns it within seconds. */
export const worldClasses = ['field', 'sky', 'car']

const colours = [
  [70, 140, 60],
  [120, 170, 230],
  [220, 40, 40],
]

export const WORLD = { width: 64, height: 32 }

/** Never trained: 3 classes, 64×32. */
export function tinyStudent(seed = 1): Student {
  const bytes = buildDeepLab({
    classes: worldClasses,
    ...WORLD,
    widthMultiplier: 0.25,
    seed,
    batchNorm: false,
  })
  return loadStudent(bytes, { source: 'tiny.onnx' })
}

/** A picture of the world: sky above a horizon that moves, a car that drives by. */
export function worldImage(index: number): RgbImage {
  const { width, height } = WORLD
  const rng = createRng(`world/${index}`)
  const data = new Uint8Array(3 * width * height)
  const horizon = 12 + 4 * Math.sin(index / 5)
  const car = (index * 7) % width
  for (let i = 0; i < width * height; i++) {
    const x = i % width
    const y = Math.floor(i / width)
    const inCar = y >= 18 && y < 28 && (x - car + width) % width < 16
    const colour = colours[inCar ? 2 : y < horizon ? 1 : 0]
    for (let c = 0; c < 3; c++) data[3 * i + c] = Math.round(colour[c] + 10 * (rng.float() - 0.5))
  }
  return { width, height, data }
}

/** Labels each pixel by the nearest colour: right but for what the video codec blurs. */
export function colourTeacher(): Teacher {
  return {
    classes: worldClasses,
    atCameraSize: false,
    async label({ width, height, data }: RgbImage): Promise<LabelMap> {
      const labels = new Uint8Array(width * height)
      for (let i = 0; i < labels.length; i++) {
        const distance = ([r, g, b]: number[]) =>
          (data[3 * i] - r) ** 2 + (data[3 * i + 1] - g) ** 2 + (data[3 * i + 2] - b) ** 2
        const distances = colours.map(distance)
        labels[i] = distances.indexOf(Math.min(...distances))
      }
      return { width, height, data: labels }
    },
    async release() {},
  }
}

/** A segment of `count` frames of the world, one a second, as the drone would send it. */
export async function worldSegment(first: number, count: number): Promise<Segment> {
  const images = Array.from({ length: count }, (_, i) => worldImage(first + i))
  const video = await encodeSegment(images, { codec: 'h264', targetKbps: 400, durationS: count })
  return {
    $typeName: 'kestrel.v1.Segment',
    sequence: BigInt(first),
    codec: VideoCodec.H264,
    ...WORLD,
    frames: images.map((_, i) => ({
      $typeName: 'kestrel.v1.SampledFrame',
      frameId: BigInt(first + i),
      captureUs: BigInt((first + i) * 1_000_000),
      sourceIndex: BigInt(first + i),
    })),
    video,
    modelVersion: 0,
    beginUs: BigInt(first * 1_000_000),
    endUs: BigInt((first + count) * 1_000_000),
  }
}
