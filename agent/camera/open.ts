import { stat } from 'node:fs/promises'
import { messageOf, UserError } from '@kestrel/runtime'
import { type Address, parseAddress } from './address.js'
import type { Camera, CameraOptions } from './camera.js'
import { ExecSource } from './exec.js'
import { openFile } from './file.js'
import { openFolder } from './folder.js'
import { LiveCamera } from './live.js'
import type { LiveSource } from './live-source.js'
import { PacedCamera } from './paced.js'
import { RtspSource } from './rtsp.js'
import { hasV4l2, linuxKernel } from './v4l2/kernel.js'
import { V4l2Source } from './v4l2/source.js'

/** Long exposures in the dark are shorter. */
const STALL_S = 5

/**
 * Opens whatever `source` names: a V4L2 device, a network camera, a command that writes pictures, a folder of frames, a video file or a
 * simulated flight (address.ts).
 *
 * @throws UserError that says what is wrong with the source and what to do
 */
export async function openCamera(options: CameraOptions): Promise<Camera> {
  const { source, fps, pace, loop = false, clock, log } = options
  if (fps !== undefined && !(fps > 0 && Number.isFinite(fps))) {
    throw new UserError(`The camera's fps is ${fps}: expected frames a second, above 0`)
  }
  const address = parseAddress(source)
  if (address.kind === 'sim') {
    // A drone has no use for the simulator: it is loaded where it is asked for.
    const { openSim } = await import('./sim.js')
    return new PacedCamera(openSim(source, clock), { pace, loop, clock, log })
  }
  const kind = address.kind === 'path' ? await kindOfFile(address.path) : 'live'
  if (kind === 'live') {
    const live = openLive(address, options)
    if (pace !== 'real-time') throw new UserError(`${live.name} is a live camera: its pace is real-time`)
    return new LiveCamera(live, { stallMs: 1000 * (options.stallS ?? STALL_S), clock, log })
  }
  const recording =
    kind === 'folder' ? await openFolder(source, { fps }) : await openFile(source, { fps, log })
  return new PacedCamera(recording, { pace, loop, clock, log })
}

function openLive(address: Address, options: CameraOptions): LiveSource {
  const { width, height, fps, format, transport = 'tcp', stallS = STALL_S, clock } = options
  switch (address.kind) {
    case 'rtsp':
      return new RtspSource(address.url, { transport, timeoutMs: 1000 * stallS, clock })
    case 'exec':
      return new ExecSource(address.command, { format, width, height, fps, clock })
    default: {
      if (!hasV4l2()) {
        throw new UserError(
          `${address.path} needs V4L2, which there is on Linux on x86-64 and arm64; here is ${process.platform} on ${process.arch}`,
        )
      }
      const wanted = { width, height, fps, format, ...(address.kind === 'v4l2' ? address : {}) }
      return new V4l2Source(address.path, { wanted, kernel: linuxKernel(), clock })
    }
  }
}

async function kindOfFile(path: string): Promise<'live' | 'folder' | 'file'> {
  try {
    const file = await stat(path)
    // A name that somebody's udev rule gave to a camera.
    if (file.isCharacterDevice()) return 'live'
    return file.isDirectory() ? 'folder' : 'file'
  } catch (cause) {
    throw new UserError(
      `There is no camera source ${path} (${messageOf(cause)}): give a video file, a folder of frames or sim:SCENARIO, ` +
        'or a camera (/dev/video0, rtsp://HOST/PATH, exec:COMMAND)',
      { cause },
    )
  }
}
