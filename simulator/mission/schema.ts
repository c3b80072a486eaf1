import { z } from 'zod'

const metresFromHome = z
  .number()
  .min(-50_000, 'expected at most 50 km from home')
  .max(50_000, 'expected at most 50 km from home')
const altitudeM = z
  .number('expected metres above home, such as 60')
  .min(5, 'expected at least 5 m above home')
  .max(1000, 'expected at most 1000 m above home')
const speedMps = z
  .number('expected metres per second, such as 10')
  .min(1, 'expected at least 1 m/s')
  .max(20, 'expected at most 20 m/s')

const takeOff = z.strictObject({
  type: z.literal('take-off'),
  altitudeM: altitudeM.describe('Height above home to climb to, straight up, m.'),
})
const waypoint = z.strictObject({
  type: z.literal('waypoint'),
  x: metresFromHome.describe('East of home, m.'),
  y: metresFromHome.describe('North of home, m.'),
  altitudeM: altitudeM.describe('Height above home, m; the terrain below may ask for more.'),
  speedMps: speedMps.default(10).describe('Speed over the ground on the way there, m/s.'),
})
const loiter = z.strictObject({
  type: z.literal('loiter'),
  seconds: z
    .number('expected seconds, such as 30')
    .min(1, 'expected at least 1 s')
    .max(3600, 'expected at most 3600 s')
    .describe('How long to stay, s.'),
  radiusM: z
    .number()
    .max(500, 'expected at most 500 m')
    .refine(radius => radius === 0 || radius >= 5, 'expected 0 (hover) or at least 5 m')
    .default(0)
    .describe('Radius of the circle around this place, m, flown clockwise; 0 hovers.'),
})
const returnHome = z.strictObject({
  type: z.literal('return'),
  speedMps: speedMps.default(10).describe('Speed over the ground on the way home, m/s.'),
})
const land = z.strictObject({ type: z.literal('land') })

const missionItem = z.discriminatedUnion('type', [takeOff, waypoint, loiter, returnHome, land], {
  error: 'expected a "type" of take-off, waypoint, loiter, return or land',
})

/**
 * A mission as scenario files hold it: what the vehicle does, in order. It begins with a take-off at home (0, 0) and ends with
 * `return` (which lands at home) or `land` (which lands where it is).
 */
export const missionSchema = z
  .array(missionItem)
  .min(2, 'expected at least a take-off and a landing')
  .max(200, 'expected at most 200 items')
  .superRefine((items, context) => {
    items.forEach((item, index) => {
      const refuse = (message: string) => context.addIssue({ code: 'custom', path: [index], message })
      const isLast = index === items.length - 1
      if (index === 0 && item.type !== 'take-off') refuse('expected a mission to begin with a take-off')
      if (index > 0 && item.type === 'take-off') refuse('expected only one take-off, as the first item')
      if (item.type === 'land' && !isLast) refuse('expected nothing after the landing')
      if (item.type === 'return' && !isLast && items[index + 1].type !== 'land')
        refuse('expected nothing after the return but a landing')
      if (isLast && item.type !== 'land' && item.type !== 'return')
        refuse('expected a mission to end with return or land')
    })
  })

export type Mission = z.infer<typeof missionSchema>
export type MissionItem = Mission[number]
