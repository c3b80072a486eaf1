import { resolve } from 'node:path'
import { endpointHelp, parseEndpoint } from '@kestrel/link/mavlink'
import { messageOf } from '@kestrel/runtime'
import { z } from 'zod'

const hz = z.number().min(0.1).max(100)

/** The section `vehicle`; without it the drone flies without an autopilot. */
export const vehicleSchema = z
  .strictObject({
    endpoint: z
      .string()
      .superRefine((text, context) => {
        try {
          parseEndpoint(text)
        } catch (error) {
          context.addIssue({ code: 'custom', message: messageOf(error) })
        }
      })
      .describe(`where MAVLink is spoken: ${endpointHelp}`),
    system: z
      .int()
      .min(1)
      .max(255)
      .optional()
      .describe('follow the autopilot of this system only; needed where several vehicles are heard'),
    attitudeHz: hz.default(20).describe('messages/s of attitude asked of the autopilot'),
    positionHz: hz.default(10).describe('messages/s of position asked of the autopilot'),
    signingKey: z
      .string()
      .min(1)
      .optional()
      .describe('file, mode 0600, with the key of MAVLink 2 signing: 32 bytes, or a passphrase'),
    signingLink: z
      .int()
      .min(0)
      .max(255)
      .default(191)
      .describe('link id in our signatures; another one for each way to the same vehicle'),
    turnDegS: z
      .number()
      .min(1)
      .max(1000)
      .default(30)
      .describe('degrees/s of yaw or pitch from which frames are sampled at once'),
    pauseOnGround: z
      .boolean()
      .default(true)
      .describe('sample nothing while the vehicle stands on the ground, disarmed'),
    radioBoundsUplink: z
      .boolean()
      .default(true)
      .describe('RADIO_STATUS lowers the bitrate of the uplink; false where the radio carries MAVLink only'),
    camera: z.boolean().default(false).describe('answer camera protocol requests as component 100'),
    reportS: z
      .number()
      .min(0.2)
      .max(60)
      .default(2)
      .describe('seconds between two reports to the pilot (named values, state of the computer)'),
  })
  .optional()
  .describe('the autopilot')

export type VehicleConfig = NonNullable<z.infer<typeof vehicleSchema>>

export function resolveVehiclePaths(
  config: VehicleConfig | undefined,
  folder: string,
): VehicleConfig | undefined {
  if (config?.signingKey === undefined) return config
  return { ...config, signingKey: resolve(folder, config.signingKey) }
}
