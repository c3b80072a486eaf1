import { z } from 'zod'

/** How the time of teacher and trainer is shared among drones. */
export const policies = ['gain-aware', 'round-robin'] as const

export const fleetOptionsSchema = z.strictObject({
  policy: z
    .enum(policies)
    .default('gain-aware')
    .describe(
      'who gets time where it is short: all alike, as in the paper, or more for those whom it makes better',
    ),
  patience: z
    .number()
    .min(1)
    .max(100)
    .default(3)
    .describe(
      'gain-aware: no drone waits longer between phases than this multiple of what round-robin gives',
    ),
  load: z
    .number()
    .positive()
    .max(1)
    .default(0.9)
    .describe('share of the time that may be planned; the rest is for what cannot be foreseen'),
})

export type FleetOptions = z.infer<typeof fleetOptionsSchema>
