import type { Clock, Log } from '@kestrel/runtime'
import type { Camera, CameraOptions } from '../camera/camera.js'
import { openCamera } from '../camera/open.js'
import type { Kernel } from '../camera/v4l2/kernel.js'
import { listDevices } from '../camera/v4l2/list.js'
import { describeFormats } from '../camera/v4l2/modes.js'
import { LatencyWindow } from '../student/latency.js'

/** How long a camera may take until its first picture, ms. */
const FIRST_MS = 15_000

/**
 * The V4L2 cameras of this machine, in words.
 *
 * @returns undefined where there is none
 */
export function describeCameras(kernel: Kernel, options: { dev?: string } = {}): string | undefined {
  const devices = listDevices(kernel, options)
  if (devices.length === 0) return undefined
  return devices
    .map(device => {
      if ('reason' in device) return `${device.path}  cannot be asked (${device.reason})`
      const { path, identity, stableNames, formats } = device
      const { card, driver, bus } = identity
      const [stable] = stableNames
      const name = stable === undefined ? [] : [`  stays the same when it is plugged in again: ${stable}`]
      const modes = formats.length === 0 ? ['no formats'] : describeFormats(formats)
      return [`${path}  ${card} (${driver}, ${bus})`, ...name, ...modes.map(line => `  ${line}`)].join('\n')
    })
    .join('\n')
}

/** Why there may be none, and what to try. */
export const noCameras = `There is no V4L2 camera here: no /dev/video* that takes pictures.
  USB: is it plugged in (lsusb), and did the kernel take it (dmesg)? In a container or VM it must be passed on.
  CSI on a Raspberry Pi: rpicam-hello --list-cameras, then an exec: source with rpicam-vid (docs/cameras.md).
  CSI on a Jetson: an exec: source with gst-launch-1.0 nvarguscamerasrc.
  Network: kestrel-agent cameras rtsp://HOST/PATH
`

/** What a camera gave while it was looked at. */
export interface CameraTrial {
  description: string
  frames: number
  dropped: number
  /** Of the frames. */
  width: number
  height: number
  fps: number
  /** From taken to decoded, ms. */
  p50Ms: number
  p99Ms: number
  /** Why nothing came. */
  trouble?: string
}

/** Opens a camera and takes pictures for some seconds. @throws UserError where it makes no sense */
export async function tryCamera(
  options: CameraOptions & { clock: Clock; log: Log },
  seconds: number,
): Promise<CameraTrial> {
  const camera = await openCamera(options)
  try {
    await camera.start()
    // Somebody who looks does not want to wait for what is not there.
    return await watch(camera, options.clock, camera.trouble === undefined ? seconds : 0)
  } finally {
    await camera.stop()
  }
}

async function watch(camera: Camera, clock: Clock, seconds: number): Promise<CameraTrial> {
  if (seconds === 0) return { ...nothing, description: camera.description, trouble: camera.trouble }
  const window = new LatencyWindow({ spanMs: 1000 * seconds + FIRST_MS })
  const ending = new AbortController()
  const waited = new AbortController()
  void clock.sleep(FIRST_MS, waited.signal).then(() => {
    if (!waited.signal.aborted) ending.abort()
  })
  let size = { width: 0, height: 0 }
  let frames = 0
  let dropped = 0
  for (;;) {
    const frame = await camera.next(ending.signal)
    if (frame === undefined) break
    const nowMs = clock.nowMs()
    if (frames === 0) {
      waited.abort()
      // What was lost while the camera and the decoder started says nothing.
      dropped = camera.dropped
      void clock.sleep(1000 * seconds, ending.signal).then(() => ending.abort())
    }
    frames += 1
    size = { width: frame.image.width, height: frame.image.height }
    window.add(nowMs, nowMs - frame.captureMs)
  }
  waited.abort()
  ending.abort()
  const { fps, p50Ms, p99Ms } = window.summary(clock.nowMs())
  const { description, trouble } = camera
  return { description, frames, dropped: camera.dropped - dropped, ...size, fps, p50Ms, p99Ms, trouble }
}

const nothing = { frames: 0, dropped: 0, width: 0, height: 0, fps: 0, p50Ms: 0, p99Ms: 0 }

/** One line for each thing to know. */
export function describeTrial(trial: CameraTrial): string {
  const { description, frames, dropped, width, height, fps, p50Ms, p99Ms, trouble } = trial
  return [
    description,
    `  pictures   ${frames} of ${width}x${height}, ${fps.toFixed(1)} a second; ${dropped} dropped`,
    `  latency    ${p50Ms.toFixed(1)} ms from taken to decoded (99 %: ${p99Ms.toFixed(1)} ms)`,
    ...(trouble === undefined ? [] : [`  then       ${trouble}`]),
    '',
  ].join('\n')
}
