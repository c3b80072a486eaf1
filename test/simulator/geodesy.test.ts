import { fromGeodetic, toGeodetic } from '@kestrel/simulator'
import { test } from 'tap'

const rad = Math.PI / 180

/** Vincenty's inverse formula on WGS84 (Survey Review XXIII, 176, 1975): distance in m and azimuth at the first place. */
function vincenty(from: { latitude: number; longitude: number }, to: typeof from) {
  const [a, f] = [6378137, 1 / 298.257223563]
  const b = a * (1 - f)
  const [u1, u2] = [from, to].map(place => Math.atan((1 - f) * Math.tan(place.latitude * rad)))
  const [s1, c1, s2, c2] = [Math.sin(u1), Math.cos(u1), Math.sin(u2), Math.cos(u2)]
  const difference = (to.longitude - from.longitude) * rad
  let lambda = difference
  for (let round = 0; ; round++) {
    const [sl, cl] = [Math.sin(lambda), Math.cos(lambda)]
    const sinSigma = Math.hypot(c2 * sl, c1 * s2 - s1 * c2 * cl)
    const cosSigma = s1 * s2 + c1 * c2 * cl
    const sigma = Math.atan2(sinSigma, cosSigma)
    const sinAlpha = (c1 * c2 * sl) / sinSigma
    const cos2Alpha = 1 - sinAlpha ** 2
    const cos2m = cosSigma - (2 * s1 * s2) / cos2Alpha
    const c = (f / 16) * cos2Alpha * (4 + f * (4 - 3 * cos2Alpha))
    const next =
      difference +
      (1 - c) * f * sinAlpha * (sigma + c * sinSigma * (cos2m + c * cosSigma * (2 * cos2m ** 2 - 1)))
    const done = Math.abs(next - lambda) < 1e-13 || round > 50
    lambda = next
    if (!done) continue
    const k = (cos2Alpha * (a * a - b * b)) / (b * b)
    const bigA = 1 + (k / 16384) * (4096 + k * (-768 + k * (320 - 175 * k)))
    const bigB = (k / 1024) * (256 + k * (-128 + k * (74 - 47 * k)))
    const dSigma =
      bigB *
      sinSigma *
      (cos2m +
        (bigB / 4) *
          (cosSigma * (2 * cos2m ** 2 - 1) -
            (bigB / 6) * cos2m * (4 * sinSigma ** 2 - 3) * (4 * cos2m ** 2 - 3)))
    return {
      distance: b * bigA * (sigma - dSigma),
      azimuth: Math.atan2(c2 * Math.sin(lambda), c1 * s2 - s1 * c2 * Math.cos(lambda)),
    }
  }
}

test('Metres become degrees as on the ellipsoid, and back', async t => {
  // Vincenty's own check, from Flinders Peak to Buninyong on another ellipsoid, is far; this distance is well known on WGS84.
  const degree = vincenty({ latitude: 45, longitude: 0 }, { latitude: 46, longitude: 0 })
  t.ok(Math.abs(degree.distance - 111141.55) < 0.1, 'the formula itself: one degree of the meridian at 45.5°')
  for (const latitude of [-62, -33.9, 0.1, 46.5, 69]) {
    const home = { latitude, longitude: 7.25 }
    for (const [x, y] of [
      [300, 400],
      [-1000, 20],
      [15, -990],
      [-700, -700],
    ]) {
      const place = toGeodetic(home, x, y)
      const { distance, azimuth } = vincenty(home, place)
      const off = Math.hypot(distance * Math.sin(azimuth) - x, distance * Math.cos(azimuth) - y)
      t.ok(
        off < 0.25 * Math.max(1, Math.abs(Math.tan(latitude * rad))),
        `${x}, ${y} at ${latitude}°: ${off} m`,
      )
      const back = fromGeodetic(home, place)
      t.ok(Math.hypot(back.x - x, back.y - y) < 1e-6)
    }
  }
})

test('The date line is no edge', async t => {
  const home = { latitude: 10, longitude: 179.999 }
  const place = toGeodetic(home, 500, 0)
  t.ok(place.longitude < -179.99 && place.longitude >= -180)
  const { x } = fromGeodetic(home, place)
  t.ok(Math.abs(x - 500) < 1e-4)
})
