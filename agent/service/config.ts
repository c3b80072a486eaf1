import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { checkDroneName, pixelFormats, readCredentials } from '@kestrel/link'
import { loadConfig, messageOf, parseConfig, UserError } from '@kestrel/runtime'
import { z } from 'zod'
import { isPath } from '../camera/address.js'
import { resolveVehiclePaths, vehicleSchema } from './vehicle-config.js'

const rate = z.number().positive().max(1000)
const edge = z.number().min(0).max(1)

/** The one place for the agent's options: defaults, units and help. */
export const agentSchema = z.strictObject({
  drone: z
    .string()
    .superRefine((name, context) => {
      try {
        checkDroneName(name)
      } catch (error) {
        context.addIssue({ code: 'custom', message: messageOf(error) })
      }
    })
    .describe('name of this drone on the link: lower-case letters, digits and hyphens'),
  broker: z
    .string()
    .regex(/^(mqtts?|wss?|tcp|tls):\/\/[^/\s]+/, 'expected a URL such as mqtt://192.168.1.10:1883')
    .optional()
    .describe('the MQTT broker; without, the one of the credentials, or mqtt://127.0.0.1:1883'),
  credentials: z
    .string()
    .min(1)
    .optional()
    .describe(
      'file that `kestrel-agent pair` made; credentials.json in stateDir where there is one (docs/pairing.md)',
    ),
  student: z.string().min(1).describe('the shipped student, an ONNX file'),
  stateDir: z
    .string()
    .min(1)
    .default('state')
    .describe('folder that keeps the learned weights and unsent segments over restarts'),
  camera: z
    .strictObject({
      source: z
        .string()
        .min(1)
        .describe(
          'a camera (/dev/video0, rtsp://HOST/PATH, exec:COMMAND; docs/cameras.md), a video file, a folder of frames, or sim:SCENARIO',
        ),
      fps: rate
        .optional()
        .describe('frames/s; wished for from a camera, needed for a folder, taken from a file otherwise'),
      width: z
        .int()
        .min(16)
        .max(16_384)
        .optional()
        .describe('pixels; wished for from a V4L2 camera, needed for exec: with raw pictures'),
      height: z.int().min(16).max(16_384).optional().describe('pixels, likewise'),
      format: z
        .string()
        .min(1)
        .optional()
        .describe(`wished for from a V4L2 camera, needed for exec: mjpeg, ${pixelFormats.join(', ')}`),
      passwordFile: z
        .string()
        .min(1)
        .optional()
        .describe('file with the password of an RTSP camera; its source is then rtsp://USER@HOST/PATH'),
      transport: z.enum(['tcp', 'udp']).default('tcp').describe('how RTSP carries pictures'),
      stallS: z
        .number()
        .min(0.5)
        .max(600)
        .default(5)
        .describe('seconds without a picture after which a camera is opened again'),
      pace: z
        .enum(['real-time', 'as-fast-as-possible'])
        .default('real-time')
        .describe('real-time drops frames that come too fast, as a camera does'),
      loop: z.boolean().default(false).describe('begin again at the end of the video'),
    })
    .describe('where frames come from'),
  sampling: z
    .strictObject({
      fps: rate.default(1).describe('frames/s sent to the ground until it says otherwise'),
      minFps: rate.default(0.1).describe('frames/s, least that the ground may ask for'),
      maxFps: rate.default(1).describe('frames/s, most that the ground may ask for'),
    })
    .refine(
      ({ fps, minFps, maxFps }) => minFps <= fps && fps <= maxFps,
      'expected minFps ≤ fps ≤ maxFps (their defaults are 0.1, 1 and 1)',
    )
    .prefault({})
    .describe('which frames the ground learns from'),
  uplink: z
    .strictObject({
      codec: z.enum(['h264', 'hevc', 'av1']).default('h264').describe('video codec of the segments'),
      encoder: z
        .enum(['auto', 'software', 'nvenc', 'vaapi', 'v4l2m2m'])
        .default('auto')
        .describe('auto takes a hardware encoder that passes a trial at the start, else software'),
      kbps: z.number().positive().max(100_000).default(200).describe('kbit/s for the segments'),
      periodS: z
        .number()
        .min(0.5)
        .max(600)
        .default(10)
        .describe('seconds a segment lasts (T_update) until the ground says otherwise'),
      maxSegments: z.int().min(1).max(100_000).default(64).describe('segments kept while the link is down'),
      maxMB: z.number().min(1).max(100_000).default(32).describe('megabytes kept while the link is down'),
    })
    .prefault({})
    .describe('how frames are sent'),
  threads: z
    .int()
    .min(0)
    .max(256)
    .default(0)
    .describe('threads of the student; 0: one for each physical core'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('least level shown'),
      json: z.boolean().default(false).describe('one JSON object a line instead of text'),
    })
    .prefault({})
    .describe('what is written to the terminal'),
  output: z
    .strictObject({
      socket: z
        .string()
        .min(1)
        .optional()
        .describe(
          'path of a Unix socket that gives labels to programs on board (docs/label-output.md); none without',
        ),
      socketAccess: z
        .enum(['owner', 'group', 'everyone'])
        .default('group')
        .describe('whose programs may read from it'),
      webSocketPort: z
        .int()
        .min(0)
        .max(65_535)
        .optional()
        .describe(
          'TCP port of a WebSocket on 127.0.0.1 with the same labels, 0 = any free one; none without',
        ),
      maxReaders: z.int().min(1).max(64).default(8).describe('programs that may read labels at a time'),
      summary: z
        .strictObject({
          periodS: z
            .number()
            .min(0.1)
            .max(3600)
            .default(1)
            .describe('seconds from one set of numbers for the autopilot (NAMED_VALUE_FLOAT) to the next'),
          areas: z
            .array(z.string())
            .max(32)
            .optional()
            .describe('classes whose share of the picture is told; the first 16 without'),
          safe: z
            .array(z.string())
            .optional()
            .describe(
              'classes that count as clear ground in clear_gnd; without, those that mean open ground, such as land',
            ),
          window: z
            .strictObject({
              left: edge.default(0.3).describe('left edge, 0..1 of the width'),
              top: edge.default(0.5).describe('top edge, 0..1 of the height'),
              right: edge.default(0.7).describe('right edge, 0..1 of the width'),
              bottom: edge.default(1).describe('bottom edge, 0..1 of the height'),
            })
            .refine(({ left, right }) => left < right, 'expected left < right')
            .refine(({ top, bottom }) => top < bottom, 'expected top < bottom')
            .prefault({})
            .describe('part of the picture that clear_gnd looks at'),
        })
        .prefault({})
        .describe('what a labelled frame says in a few numbers'),
    })
    .prefault({})
    .describe('labels for other programs on board, and for the autopilot'),
  resources: z
    .strictObject({
      maxCpu: z
        .number()
        .min(10)
        .max(100)
        .default(100)
        .describe(
          'percent of all cores (or of the CPU quota) above which frames are let go, 100 = no ceiling',
        ),
      maxMemory: z
        .number()
        .min(10)
        .max(100)
        .default(90)
        .describe('percent of the memory (or of its limit) above which frames are let go'),
      maxTemperatureC: z
        .number()
        .min(30)
        .max(120)
        .optional()
        .describe('°C above which frames are let go; 3 below where the board slows itself down, or 85'),
      minFps: rate.default(2).describe('frames/s that are labelled whatever the strain'),
      maxStateMB: z
        .number()
        .min(1)
        .max(10_000_000)
        .default(1024)
        .describe('megabytes that stateDir may take'),
      minFreeMB: z
        .number()
        .min(0)
        .max(10_000_000)
        .default(256)
        .describe('megabytes that stay free on its disk'),
    })
    .prefault({})
    .describe('what the board may be asked to bear; frames are let go before anything else suffers'),
  logs: z
    .strictObject({
      enabled: z.boolean().default(true).describe('false: flights are not logged'),
      dir: z
        .string()
        .min(1)
        .optional()
        .describe('folder of the flight logs; the folder `logs` in stateDir without'),
      maxMB: z
        .number()
        .min(10)
        .max(100_000_000)
        .default(4096)
        .describe('megabytes that they may take; the oldest flights go first'),
    })
    .prefault({})
    .describe('a log of each flight, for later (docs/flight-logs.md)'),
  vehicle: vehicleSchema,
})

type Written = z.infer<typeof agentSchema>

/** As written, with paths. */
type Located = Omit<Written, 'logs'> & { logs: Written['logs'] & { dir: string } }

/** As written, with paths and the broker that they come down to. */
export type AgentConfig = Located & { broker: string }

/** Where `kestrel-agent pair` puts the credentials unless told otherwise. */
const CREDENTIALS = 'credentials.json'

const LOCAL_BROKER = 'mqtt://127.0.0.1:1883'

/**
 * Reads `agent.yaml`. Relative paths in it are relative to the file.
 *
 * @throws UserError
 */
export function loadAgentConfig(file: string): AgentConfig {
  return withCredentials(resolvePaths(loadConfig(file, agentSchema), dirname(resolve(file))), file)
}

/** Whose credentials belong where, for what makes them: those that are there may be of no use. @throws UserError */
export function loadPairingConfig(file: string): { drone: string; credentials: string } {
  const { drone, stateDir, credentials } = resolvePaths(loadConfig(file, agentSchema), dirname(resolve(file)))
  return { drone, credentials: credentials ?? join(stateDir, CREDENTIALS) }
}

/** The same for an object; paths stay relative to the working directory. */
export function parseAgentConfig(value: unknown, source = 'the agent configuration'): AgentConfig {
  return withCredentials(resolvePaths(parseConfig(value, agentSchema, source), process.cwd()), source)
}

/** @throws UserError where there are credentials that cannot be used, or another drone's */
function withCredentials(options: Located, source: string): AgentConfig {
  // A file that is named must be there; the usual one may be.
  const usual = join(options.stateDir, CREDENTIALS)
  const file = options.credentials ?? (existsSync(usual) ? usual : undefined)
  if (file === undefined) return { ...options, broker: options.broker ?? LOCAL_BROKER }
  const { drone, broker } = readCredentials(file)
  checkOwner(drone, options.drone, { credentials: file, config: source })
  return { ...options, credentials: file, broker: options.broker ?? broker }
}

/** @throws UserError where credentials are another drone's */
export function checkOwner(
  owner: string,
  drone: string,
  files: { credentials: string; config: string },
): void {
  if (owner === drone) return
  throw new UserError(
    `${files.credentials} holds the credentials of "${owner}", but ${files.config} says "drone: ${drone}": pair ${drone}, or change its name`,
  )
}

function resolvePaths(config: Written, folder: string): Located {
  const stateDir = resolve(folder, config.stateDir)
  const { logs } = config
  return {
    ...config,
    credentials: config.credentials && resolve(folder, config.credentials),
    student: resolve(folder, config.student),
    stateDir,
    logs: { ...logs, dir: logs.dir === undefined ? join(stateDir, 'logs') : resolve(folder, logs.dir) },
    vehicle: resolveVehiclePaths(config.vehicle, folder),
    camera: {
      ...config.camera,
      passwordFile: config.camera.passwordFile && resolve(folder, config.camera.passwordFile),
      source: isPath(config.camera.source) ? resolve(folder, config.camera.source) : config.camera.source,
    },
    output: {
      ...config.output,
      ...(config.output.socket !== undefined && { socket: resolve(folder, config.output.socket) }),
    },
  }
}
