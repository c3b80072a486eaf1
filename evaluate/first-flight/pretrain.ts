import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Adam, createEngine, openTeacher } from '@kestrel/ground-station'
import { decodeStill } from '@kestrel/link'
import {
  buildDeepLab,
  loadStudent,
  readParameters,
  resizeLabels,
  toPlanar,
  withParameters,
} from '@kestrel/models'
import { createRng, silentLog } from '@kestrel/runtime'
import type { Progress } from '../report/progress.js'

/**
 * A student that knows how the scene looks in its first seconds, and nothing else: what a shipped model is to a real flight.
 *
 * @param options.known how many frames, from the first, it is trained on
 * @param options.size of the student's input, pixels; the frames must have it
 * @returns the bytes of the ONNX file
 */
export async function trainFirstStudent(options: {
  scene: { frames: string; labels: string }
  classes: string[]
  palette: [number, number, number][]
  size: { width: number; height: number }
  known: number
  iterations: number
  seed: number
  progress: Progress
}): Promise<Uint8Array> {
  const { scene, classes, palette, size, known, iterations, seed, progress } = options
  const { width, height } = size
  const bytes = buildDeepLab({ classes, palette, width, height, widthMultiplier: 0.35, seed })
  const student = loadStudent(bytes, { source: 'the new student' })
  const teacher = await openTeacher(`labels:${scene.labels}`, { studentClasses: classes, log: silentLog })
  const names = readdirSync(scene.frames).sort().slice(0, known)
  const frames: { image: Uint8Array; labels: Uint8Array }[] = []
  for (const [sourceIndex, name] of names.entries()) {
    const image = await decodeStill(join(scene.frames, name))
    const labels = await teacher.label(image, { sourceIndex, captureMs: 0 })
    frames.push({ image: toPlanar(image), labels: resizeLabels(labels, width, height).data })
  }
  await teacher.release()

  const engine = await createEngine(student)
  const parameters = readParameters(student)
  const adam = new Adam(parameters.length, { alpha: 3e-3 })
  const rng = createRng(`${seed}/pretrain`)
  const batchSize = 8
  const images = new Uint8Array(batchSize * 3 * width * height)
  const labels = new Uint8Array(batchSize * width * height)
  progress.start('training a student', iterations)
  for (let i = 0; i < iterations; i++) {
    for (let b = 0; b < batchSize; b++) {
      const frame = frames[rng.int(frames.length)]
      images.set(frame.image, b * frame.image.length)
      labels.set(frame.labels, b * frame.labels.length)
    }
    const batch = { size: batchSize, images, labels, labelHeight: height, labelWidth: width }
    adam.step(parameters, (await engine.lossAndGradient(batch, parameters)).gradient)
    progress.update(i + 1)
  }
  progress.end()
  await engine.dispose()
  return withParameters(student, parameters)
}
