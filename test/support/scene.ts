import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRng, type Rng } from '@kestrel/runtime'
import { encode } from 'fast-png'

/** Classes of the synthetic world, in label order. */
export const sceneClasses = ['ground', 'sky', 'vehicle', 'tree']

/** Their colours in label pictures. */
export const scenePalette: [number, number, number][] = [
  [120, 90, 60],
  [90, 160, 230],
  [220, 40, 40],
  [30, 130, 40],
]

type Colour = [number, number, number]

/** Appearance at the start and at the end of the flight; in between it drifts, so that what was learned ages. */
const appearance: { start: Colour; end: Colour }[] = [
  { start: [130, 100, 70], end: [60, 60, 110] },
  { start: [120, 180, 240], end: [230, 120, 60] },
  { start: [210, 50, 50], end: [40, 190, 200] },
  { start: [40, 140, 50], end: [150, 40, 140] },
]

interface Shape {
  label: number
  round: boolean
  x: number
  y: number
  radius: number
  speed: number
}

/**
 * A small world whose truth is known: ground, sky, vehicles (boxes) and trees (discs) that drift sideways while every
 * class changes colour from the first frame to the last. The same options give the same pixels.
 *
 * Writes `DIR/frames/0000.png …` (RGB, with camera noise), `DIR/labels/0000.png …` (8-bit class index) and
 * `DIR/labels/classes.json` with names, palette, the ignored index and the rate.
 *
 * @returns the two folders
 */
export function writeScene(
  dir: string,
  options: { seconds: number; fps: number; width: number; height: number; seed: number },
): { frames: string; labels: string } {
  const { seconds, fps, width, height, seed } = options
  const frames = join(dir, 'frames')
  const labels = join(dir, 'labels')
  for (const folder of [frames, labels]) mkdirSync(folder, { recursive: true })
  const rng = createRng(`${seed}/scene`)
  const shapes = createShapes(rng, width, height)
  const count = Math.round(seconds * fps)
  for (let i = 0; i < count; i++) {
    const name = `${String(i).padStart(4, '0')}.png`
    const { image, map } = draw(shapes, i / fps, count > 1 ? i / (count - 1) : 0, width, height, rng)
    writeFileSync(join(frames, name), encode({ width, height, data: image, channels: 3, depth: 8 }))
    writeFileSync(join(labels, name), encode({ width, height, data: map, channels: 1, depth: 8 }))
  }
  const list = { classes: sceneClasses, palette: scenePalette, ignore: sceneClasses.length, fps }
  writeFileSync(join(labels, 'classes.json'), JSON.stringify(list, null, 2))
  return { frames, labels }
}

function createShapes(rng: Rng, width: number, height: number): Shape[] {
  return Array.from({ length: 6 }, (_, i) => ({
    label: i % 2 === 0 ? 2 : 3,
    round: i % 2 === 1,
    x: rng.float() * width,
    y: height * (0.45 + 0.5 * rng.float()),
    radius: height * (0.1 + 0.1 * rng.float()),
    speed: width * (rng.float() - 0.5) * 0.2,
  }))
}

/** One frame at `t` seconds; `drift` in [0, 1] is how far the colours have moved. */
function draw(shapes: Shape[], t: number, drift: number, width: number, height: number, rng: Rng) {
  const map = new Uint8Array(width * height)
  const horizon = height * (0.4 + 0.05 * Math.sin(t / 3))
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) map[y * width + x] = y < horizon ? 1 : 0
  }
  for (const { label, round, x, y, radius, speed } of shapes) {
    const centre = (((x + speed * t) % width) + width) % width
    for (let py = Math.max(0, Math.ceil(y - radius)); py < Math.min(height, y + radius); py++) {
      for (let px = Math.max(0, Math.ceil(centre - radius)); px < Math.min(width, centre + radius); px++) {
        if (round && (px - centre) ** 2 + (py - y) ** 2 > radius ** 2) continue
        map[py * width + px] = label
      }
    }
  }
  const image = new Uint8Array(3 * width * height)
  map.forEach((label, i) => {
    const { start, end } = appearance[label]
    for (let c = 0; c < 3; c++) {
      const value = start[c] + (end[c] - start[c]) * drift + 6 * rng.normal()
      image[3 * i + c] = Math.max(0, Math.min(255, Math.round(value)))
    }
  })
  return { image, map }
}
