import type { LabelMap, RgbImage } from '@kestrel/models'
import { type Log, UserError } from '@kestrel/runtime'
import { aerialClasses, frameTimeS, parseSimSource, RenderThread } from '@kestrel/simulator'
import { teacherTable } from './classes.js'
import type { FrameReference, Teacher } from './teacher.js'

/**
 * The exact labels of a simulated flight, `sim:SCENARIO?…`: the frame is drawn again. The source must be the camera's to the letter,
 * or its frames and these labels are of different moments. A thread draws them: `release` ends it.
 */
export function openSimLabels(source: string, options: { studentClasses: string[]; log: Log }): Teacher {
  const sim = parseSimSource(source)
  const { scenario, width, height, count } = sim
  const table = teacherTable({ source, classes: aerialClasses, ...options })
  let renderer: RenderThread | undefined
  return {
    classes: aerialClasses,
    atCameraSize: true,
    async label(_image: RgbImage, { sourceIndex }: FrameReference): Promise<LabelMap> {
      if (sourceIndex >= count) {
        throw new UserError(`${source} has ${count} frames; asked for the label of frame ${sourceIndex}`)
      }
      renderer ??= new RenderThread({ scenario, width, height })
      const { labels } = await renderer.render(frameTimeS(sim, sourceIndex))
      return { width, height, data: labels.data.map(label => table[label]) }
    },
    async release() {
      await renderer?.stop()
      renderer = undefined
    },
  }
}
