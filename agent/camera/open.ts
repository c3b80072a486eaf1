import { stat } from 'node:fs/promises'
import { messageOf, UserError } from '@kestrel/runtime'
import type { Camera, CameraOptions } from './camera.js'
import { openFile } from './file.js'
import { openFolder } from './folder.js'
import { PacedCamera } from './paced.js'

/**
 * Opens whatever `source` names: a folder of frames, a video file or a simulated flight (`sim:SCENARIO`).
 *
 * @throws UserError that says what is wrong with the source and what to do
 */
export async function openCamera(options: CameraOptions): Promise<Camera> {
  const { source, fps, pace, loop = false, clock, log } = options
  if (fps !== undefined && !(fps > 0 && Number.isFinite(fps))) {
    throw new UserError(`The camera's fps is ${fps}: expected frames a second, above 0`)
  }
  if (source.startsWith('sim:')) {
    // A drone has no use for the simulator: it is loaded where it is asked for.
    const { openSim } = await import('./sim.js')
    return new PacedCamera(openSim(source, clock), { pace, loop, clock, log })
  }
  let isFolder: boolean
  try {
    isFolder = (await stat(source)).isDirectory()
  } catch (cause) {
    throw new UserError(
      `There is no camera source ${source} (${messageOf(cause)}): give a video file, a folder of frames or sim:SCENARIO`,
      { cause },
    )
  }
  const recording = isFolder ? await openFolder(source, { fps }) : await openFile(source, { fps, log })
  return new PacedCamera(recording, { pace, loop, clock, log })
}
