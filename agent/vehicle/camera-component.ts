import { message } from '@kestrel/link/mavlink'
import { common, minimal } from 'mavlink-mappings'
import type { CommandHandler } from './own-commands.js'

const { MavCmd, MavResult } = common

/** What a camera is; read when it is asked for, since one that is away at the start has no size yet. */
export interface CameraFacts {
  readonly width: number
  readonly height: number
  /** Such as the name of the device. */
  readonly description: string
}

/** The component number of a camera, MAV_COMP_ID_CAMERA. */
export const CAMERA_COMPONENT = minimal.MavComponent.CAMERA

const CAMERA_INFORMATION = 259
const CAMERA_SETTINGS = 260

/**
 * The camera protocol as far as a camera without shutter, storage or stream for the pilot has something to say: that it is there, and
 * how large its pictures are (https://mavlink.io/en/services/camera.html).
 */
export function cameraCommands(
  facts: CameraFacts,
  send: (data: common.CameraInformation | common.CameraSettings) => void,
  upMs: () => number,
): CommandHandler {
  const tell = (id: number) => {
    const timeBootMs = Math.round(upMs()) % 2 ** 32
    if (id === CAMERA_INFORMATION) send(cameraInformation(facts, timeBootMs))
    else if (id === CAMERA_SETTINGS) {
      send(
        message(common.CameraSettings, {
          timeBootMs,
          modeId: common.CameraMode.VIDEO,
          zoomLevel: Number.NaN,
          focusLevel: Number.NaN,
          cameraDeviceId: 0,
        }),
      )
    } else return undefined
    return MavResult.ACCEPTED
  }
  return ({ command, params }) => {
    if (command === MavCmd.REQUEST_MESSAGE) return tell(params[0])
    // Deprecated, and what older ground stations ask with.
    if (command === MavCmd.REQUEST_CAMERA_INFORMATION) return tell(CAMERA_INFORMATION)
    if (command === MavCmd.REQUEST_CAMERA_SETTINGS) return tell(CAMERA_SETTINGS)
    return undefined
  }
}

function cameraInformation({ width, height, description }: CameraFacts, timeBootMs: number) {
  return message(common.CameraInformation, {
    timeBootMs,
    vendorName: text('Kestrel', 32),
    modelName: text(description, 32),
    firmwareVersion: 0,
    // Unknown.
    focalLength: Number.NaN,
    sensorSizeH: Number.NaN,
    sensorSizeV: Number.NaN,
    resolutionH: width,
    resolutionV: height,
    lensId: 0,
    flags: 0 as common.CameraCapFlags,
    camDefinitionVersion: 0,
    camDefinitionUri: '',
    gimbalDeviceId: 0,
    cameraDeviceId: 0,
  })
}

function text(value: string, length: number): number[] {
  const bytes = [...Buffer.from(value, 'utf8').subarray(0, length)]
  return [...bytes, ...Array<number>(length - bytes.length).fill(0)]
}
