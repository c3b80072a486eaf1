import { dirname, join, resolve } from 'node:path'
import { loadConfig } from '@kestrel/runtime'
import { z } from 'zod'
import { clusterSchema } from '../cluster/config.js'
import { fleetOptionsSchema } from '../fleet/options.js'
import { type BrokerAuthConfig, brokerAuthSchema } from '../security/broker-auth.js'
import { sessionOptionsSchema } from '../session/options.js'
import { engineOptionsSchema } from '../training/options.js'

/** Everything that can be set about the ground station: defaults, units and help in this one place. */
export const groundConfigSchema = z.strictObject({
  listen: z
    .strictObject({
      host: z
        .string()
        .default('127.0.0.1')
        .describe('address; 0.0.0.0 lets paired drones on the network in, over TLS (docs/pairing.md)'),
      port: z.number().int().min(0).max(65_535).default(1883).describe('TCP port; 0 takes any free one'),
      pairing: z
        .enum(['auto', 'required'])
        .default('auto')
        .describe(
          'whether drones have to be paired and to use TLS; auto: where not only this machine reaches the port',
        ),
    })
    .prefault({})
    .describe('where the embedded MQTT broker listens'),
  broker: z
    .string()
    .regex(/^(mqtts?|tcp|wss?):\/\/./, 'expected a URL such as mqtt://192.168.1.10:1883')
    .optional()
    .describe('URL of an MQTT broker to use instead of the embedded one'),
  brokerAuth: brokerAuthSchema.optional().describe('how the ground station logs in at that broker'),
  cluster: clusterSchema
    .optional()
    .describe('several ground stations that share the drones of one broker (docs/cluster.md)'),
  identity: z
    .string()
    .min(1)
    .optional()
    .describe('folder of its keys, the same for all of a cluster; the folder `identity` in stateDir without'),
  student: z.string().min(1).describe('the student, FILE.onnx; the same file as on the drone'),
  teacher: z
    .string()
    .min(1)
    .describe('the teacher: FILE.onnx (with FILE.json), labels:DIR or labels:sim:SCENARIO'),
  stateDir: z.string().min(1).default('state').describe('folder that keeps the training state of each drone'),
  training: engineOptionsSchema
    .extend({
      nice: z
        .number()
        .int()
        .min(0)
        .max(19)
        .default(10)
        .describe(
          'niceness of labelling and training: what else runs on this machine, such as agents, goes first',
        ),
    })
    .prefault({})
    .describe('the training engine'),
  ams: sessionOptionsSchema.prefault({}).describe('adaptive model streaming, the same for every drone'),
  fleet: fleetOptionsSchema.prefault({}).describe('how several drones share teacher and training'),
  uplinkKbps: z.number().positive().max(100_000).default(200).describe('uplink budget of one drone, kbit/s'),
  scores: z
    .strictObject({
      framesPerSegment: z
        .number()
        .int()
        .min(0)
        .max(100)
        .default(3)
        .describe('frames of each segment that are labelled with the flown and the shipped weights; 0: none'),
      windowS: z
        .number()
        .positive()
        .max(3600)
        .default(60)
        .describe('seconds of flight over which the live mIoU is taken'),
    })
    .prefault({})
    .describe('how well the drone labels, live, against the teacher'),
  dashboard: z
    .strictObject({
      enabled: z.boolean().default(true).describe('serve the dashboard'),
      host: z.string().default('127.0.0.1').describe('address; with 127.0.0.1 only this machine sees it'),
      port: z
        .number()
        .int()
        .min(0)
        .max(65_535)
        .default(8080)
        .describe('TCP port; 0 takes any free one; a port that is taken is said, and the rest goes on'),
      access: z
        .enum(['auto', 'token'])
        .default('auto')
        .describe('whether it asks for its token; auto: where not only this machine reaches it, with TLS'),
      tiles: z
        .string()
        .regex(/^https?:\/\/[^/]+\/.*\{z\}/, 'expected a URL such as https://tiles.example/{z}/{x}/{y}.png')
        .optional()
        .describe('URL of map tiles; without it the map draws a grid of its own and needs no network'),
    })
    .prefault({})
    .describe('the page to watch and steer flights with, in a browser'),
  logs: z
    .strictObject({
      enabled: z.boolean().default(true).describe('false: flights are not logged here'),
      dir: z
        .string()
        .min(1)
        .optional()
        .describe('folder of the flight logs; the folder `logs` in stateDir without'),
      maxMB: z
        .number()
        .min(10)
        .max(100_000_000)
        .default(20_000)
        .describe('megabytes that they may take; the oldest flights go first'),
    })
    .prefault({})
    .describe('a log of each flight, for review (docs/flight-logs.md)'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('least level written'),
      json: z.boolean().default(false).describe('one JSON object a line instead of text'),
    })
    .prefault({})
    .describe('the log, on standard output'),
})

export type GroundConfig = z.infer<typeof groundConfigSchema>

/** Folder of the flight logs. */
export function logDir({ logs, stateDir }: Pick<GroundConfig, 'logs' | 'stateDir'>): string {
  return logs.dir ?? join(stateDir, 'logs')
}

/**
 * Reads ground.yaml. Relative paths in it count from its own folder.
 *
 * @throws UserError that names the file, the key, what was found and what was expected
 */
export function loadGroundConfig(file: string): GroundConfig {
  const config = loadConfig(file, groundConfigSchema)
  const from = (path: string) => resolve(dirname(file), path)
  const authFrom = (auth: BrokerAuthConfig | undefined) =>
    auth && { ...auth, passwordFile: from(auth.passwordFile), caFile: auth.caFile && from(auth.caFile) }
  return {
    ...config,
    student: from(config.student),
    stateDir: from(config.stateDir),
    identity: config.identity && from(config.identity),
    brokerAuth: authFrom(config.brokerAuth),
    cluster: config.cluster && { ...config.cluster, auth: authFrom(config.cluster.auth) },
    logs: { ...config.logs, dir: from(logDir(config)) },
    teacher: config.teacher.startsWith('labels:sim:')
      ? config.teacher
      : config.teacher.startsWith('labels:')
        ? `labels:${from(config.teacher.slice('labels:'.length))}`
        : from(config.teacher),
  }
}
