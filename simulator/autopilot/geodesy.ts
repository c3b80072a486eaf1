import { z } from 'zod'

/** Where home lies on the globe, degrees (WGS84). Its height is the flight's `homeZ`. */
export const homeSchema = z.strictObject({
  latitude: z
    .number()
    .min(-85, 'expected degrees within ±85')
    .max(85, 'expected degrees within ±85')
    .describe('Latitude of home, degrees north.'),
  longitude: z
    .number()
    .min(-180, 'expected degrees within ±180')
    .max(180, 'expected degrees within ±180')
    .describe('Longitude of home, degrees east.'),
})

export type Home = z.infer<typeof homeSchema>

// WGS84: equatorial radius, m, and first eccentricity squared.
const a = 6_378_137
const e2 = 6.694_379_990_141_316e-3

/**
 * The place x metres east and y metres north of home on a flat earth that touches the ellipsoid at home. Off the geodesic by about
 * 2 dm at 1 km and 4 m at 5 km in middle latitudes; what matters is that everybody uses this function and its inverse.
 */
export function toGeodetic(home: Home, x: number, y: number): Home {
  const { northM, eastM } = metresPerDegree(home.latitude)
  const longitude = home.longitude + x / eastM
  return {
    latitude: home.latitude + y / northM,
    longitude: longitude - 360 * Math.floor((longitude + 180) / 360),
  }
}

/** The inverse: metres east and north of home. */
export function fromGeodetic(home: Home, place: Home): { x: number; y: number } {
  const { northM, eastM } = metresPerDegree(home.latitude)
  const turn = place.longitude - home.longitude
  return { x: (turn - 360 * Math.round(turn / 360)) * eastM, y: (place.latitude - home.latitude) * northM }
}

/** Radii of curvature in the meridian and the prime vertical, as metres per degree. */
function metresPerDegree(latitude: number): { northM: number; eastM: number } {
  const phi = (latitude * Math.PI) / 180
  const w2 = 1 - e2 * Math.sin(phi) ** 2
  const perDegree = Math.PI / 180
  return {
    northM: (perDegree * a * (1 - e2)) / w2 ** 1.5,
    eastM: (perDegree * a * Math.cos(phi)) / Math.sqrt(w2),
  }
}
