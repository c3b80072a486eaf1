import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildDeepLab } from '@kestrel/models'
import { sceneClasses, writeScene } from '../support/scene.js'

export interface World {
  frames: string
  labels: string
  student: string
}

/** A flight of `seconds` frames, one a second, that drifts in colour, and a small student that knows nothing yet. */
export function makeWorld(dir: string, options: { seconds?: number } = {}): World {
  const { seconds = 24 } = options
  const scene = writeScene(dir, { seconds, fps: 1, width: 96, height: 72, seed: 1 })
  const student = join(dir, 'student.onnx')
  writeFileSync(
    student,
    buildDeepLab({ classes: sceneClasses, width: 64, height: 48, widthMultiplier: 0.25, seed: 1 }),
  )
  return { ...scene, student }
}
