import { z } from 'zod'

const share = (what: string) => z.number().min(0).max(1).describe(`${what}, 0..1`)

const conditionSchema = z.strictObject({
  atS: z.number().min(0).describe('time in the scenario, s'),
  sunElevationDeg: z.number().min(-10).max(90).describe('above the horizon'),
  sunAzimuthDeg: z.number().describe('clockwise from north'),
  cloud: share('cover of the sky'),
  haze: share('0: 40 km of sight, 1: 300 m'),
  rain: share('from none to heavy'),
  autumn: share('how far leaves and fields have turned'),
  snow: share('how much snow lies'),
  dry: share('drought'),
  exposureEv: z.number().min(-4).max(4).describe('added to what the camera chooses, stops'),
  noise: share('of the sensor'),
  blur: share('motion blur'),
  glare: share('how much the sun blinds the camera'),
})

export type Conditions = z.infer<typeof conditionSchema>

/** A clear summer noon. */
const usual: Conditions = {
  atS: 0,
  sunElevationDeg: 52,
  sunAzimuthDeg: 160,
  cloud: 0.2,
  haze: 0.25,
  rain: 0,
  autumn: 0,
  snow: 0,
  dry: 0,
  exposureEv: 0,
  noise: 0.15,
  blur: 0.3,
  glare: 0,
}

/** What a key frame does not say stays as in the one before it. */
export const conditionsSchema = z
  .array(conditionSchema.partial().required({ atS: true }))
  .min(1, 'expected at least one key frame, such as {atS: 0}')
  .superRefine((frames, context) => {
    frames.forEach((frame, i) => {
      if (i > 0 && frame.atS <= frames[i - 1].atS) {
        context.addIssue({
          code: 'custom',
          path: [i, 'atS'],
          message: 'expected later than the one before it',
        })
      }
    })
  })
  .transform(frames => {
    let last = usual
    return frames.map(frame => {
      last = { ...last, ...frame }
      return last
    })
  })

/** Season, light and weather at a moment: between two key frames in a straight line, constant before the first and after the last. */
export function conditionsAt(frames: Conditions[], timeS: number): Conditions {
  const next = frames.findIndex(({ atS }) => atS > timeS)
  if (next === 0) return frames[0]
  if (next < 0) return frames[frames.length - 1]
  const [a, b] = [frames[next - 1], frames[next]]
  const t = (timeS - a.atS) / (b.atS - a.atS)
  return Object.fromEntries(
    (Object.keys(a) as (keyof Conditions)[]).map(key => [key, a[key] + (b[key] - a[key]) * t]),
  ) as Conditions
}
