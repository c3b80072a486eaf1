import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IGNORE, resizeLabels } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import { encode } from 'fast-png'
import { frameTimes } from '../frames.js'
import type { Recording } from '../recording.js'

/**
 * The frames that the teacher has labelled, and its labels at the frames' size, as a folder that pretrain and evaluate read:
 * `DIR/frames/00000.png …`, `DIR/labels/00000.png …` (8-bit class indices), `DIR/labels/classes.json`.
 *
 * @throws UserError where no frame has labels, or the folder is not empty
 */
export async function writeDataset(recording: Recording, out: string): Promise<string[]> {
  if (existsSync(out) && readdirSync(out).length > 0)
    throw new UserError(`The folder ${out} is not empty: a dataset goes into a folder of its own`)
  const view = await recording.view()
  if (view.frames === 0 || !view.labels.teacher)
    throw new UserError(`${view.id} has no frames with labels of the teacher: there is nothing to learn from`)
  const [frames, labels] = [join(out, 'frames'), join(out, 'labels')]
  for (const dir of [frames, labels]) mkdirSync(dir, { recursive: true })
  const times: number[] = []
  let damaged = 0
  for await (const ms of frameTimes(recording)) {
    const map = await recording.labels('teacher', ms)
    if (map === undefined) continue
    const image = await recording.frame(ms).catch(() => undefined)
    if (image === undefined) {
      damaged += 1
      continue
    }
    const { width, height } = image
    const name = `${String(times.length).padStart(5, '0')}.png`
    writeFileSync(join(frames, name), encode({ width, height, data: image.data, channels: 3, depth: 8 }))
    const { data } = resizeLabels(map, width, height)
    writeFileSync(join(labels, name), encode({ width, height, data, channels: 1, depth: 8 }))
    times.push(ms)
  }
  if (times.length === 0) throw new UserError(`${view.id}: none of its frames has labels of the teacher`)
  const seconds = (times[times.length - 1] - times[0]) / 1000
  const fps = seconds > 0 ? Number(((times.length - 1) / seconds).toFixed(4)) : 1
  const about = { classes: view.classes, palette: view.palette, ignore: IGNORE, fps, flight: view.id }
  writeFileSync(join(labels, 'classes.json'), `${JSON.stringify(about, null, 2)}\n`)
  return [
    `${out}: ${times.length} frames with labels, ${fps.toFixed(2)} frames/s${damaged > 0 ? `; ${damaged} damaged frames left out` : ''}`,
    `evaluate with --video ${frames} --fps ${fps} --teacher labels:${labels}; pretrain with pictures: ${frames}, teacher: labels:${labels}`,
  ]
}
