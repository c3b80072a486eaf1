import { type Flight, missionSchema, planFlight } from '@kestrel/simulator'

export const home = { latitude: 46.5, longitude: 7.25 }

/** Hills of 25 m in both directions. */
export const hills = (x: number, y: number) => 600 + 15 * Math.sin(x / 120) + 10 * Math.cos(y / 90)

/** About four minutes with every kind of item, corners and a circle. */
export const roundTrip = missionSchema.parse([
  { type: 'take-off', altitudeM: 40 },
  { type: 'waypoint', x: 250, y: 150, altitudeM: 60, speedMps: 14 },
  { type: 'waypoint', x: 250, y: -100, altitudeM: 80, speedMps: 11 },
  { type: 'loiter', seconds: 30, radiusM: 35 },
  { type: 'waypoint', x: 240, y: -110, altitudeM: 70 },
  { type: 'waypoint', x: 30, y: -120, altitudeM: 45, speedMps: 12 },
  { type: 'loiter', seconds: 5 },
  { type: 'return' },
])

export function plan(seed: number | string = 1): Flight {
  return planFlight(roundTrip, { groundHeight: hills, seed })
}
