import { z } from 'zod'
import { brokerAuthSchema } from '../security/broker-auth.js'

/** Several ground stations that share drones over a NATS server. */
export const clusterSchema = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9-]{1,32}$/,
      'expected 1 to 32 lower-case letters, digits and hyphens, such as "trainer-1"',
    )
    .describe('what this process is called; another name for each one of the cluster'),
  servers: z
    .array(z.string().regex(/^(nats|tls):\/\/./, 'expected a URL such as nats://192.168.1.10:4222'))
    .min(1)
    .describe('URLs of the NATS servers, with JetStream'),
  auth: brokerAuthSchema.optional().describe('how to log in there'),
  ttlS: z
    .number()
    .min(1)
    .max(600)
    .default(8)
    .describe('a drone whose trainer has not been heard of for so many s is taken by another'),
  replicas: z
    .number()
    .int()
    .min(1)
    .max(5)
    .default(1)
    .describe('how many NATS servers keep leases and sessions: 1, 3 or 5'),
})

export type ClusterConfig = z.infer<typeof clusterSchema>
