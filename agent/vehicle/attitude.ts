/** Radians; yaw clockwise from north, pitch nose up, roll right wing down, as in ATTITUDE (#30). */
export interface Attitude {
  roll: number
  pitch: number
  yaw: number
}

/** Radians a second about the body's axes: forward, right, down. */
export interface BodyRates {
  roll: number
  pitch: number
  yaw: number
}

/** Unit quaternion [w, x, y, z], from body to north-east-down. */
type Quaternion = [number, number, number, number]

const { sin, cos, acos, asin, atan2, hypot, min, max } = Math

/** The turn from one attitude to another at a constant rate and by the shortest way (slerp). @param share 0 is `from`, 1 is `to` */
export function between(from: Attitude, to: Attitude, share: number): Attitude {
  const a = quaternionOf(from)
  const b = quaternionOf(to)
  const dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
  // q and −q are the same attitude.
  const sign = dot < 0 ? -1 : 1
  const angle = acos(min(1, dot * sign))
  const [left, right] =
    angle < 1e-6
      ? [1 - share, share]
      : [sin((1 - share) * angle) / sin(angle), sin(share * angle) / sin(angle)]
  return attitudeOf(normalised(a.map((value, i) => left * value + sign * right * b[i]) as Quaternion))
}

/** The attitude after turning on at the same rates. */
export function turned(from: Attitude, rates: BodyRates, seconds: number): Attitude {
  const [x, y, z] = [rates.roll * seconds, rates.pitch * seconds, rates.yaw * seconds]
  const angle = hypot(x, y, z)
  if (angle < 1e-9) return from
  const part = sin(angle / 2) / angle
  return attitudeOf(normalised(product(quaternionOf(from), [cos(angle / 2), x * part, y * part, z * part])))
}

/** The angle between two attitudes, radians. */
export function angleBetween(one: Attitude, other: Attitude): number {
  const a = quaternionOf(one)
  const b = quaternionOf(other)
  return 2 * acos(min(1, Math.abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3])))
}

function quaternionOf({ roll, pitch, yaw }: Attitude): Quaternion {
  const [cr, sr] = [cos(roll / 2), sin(roll / 2)]
  const [cp, sp] = [cos(pitch / 2), sin(pitch / 2)]
  const [cy, sy] = [cos(yaw / 2), sin(yaw / 2)]
  return [
    cr * cp * cy + sr * sp * sy,
    sr * cp * cy - cr * sp * sy,
    cr * sp * cy + sr * cp * sy,
    cr * cp * sy - sr * sp * cy,
  ]
}

/** Euler angles, yaw first; straight up or down only the sum of roll and yaw is known. */
function attitudeOf([w, x, y, z]: Quaternion): Attitude {
  return {
    roll: atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)),
    pitch: asin(max(-1, min(1, 2 * (w * y - z * x)))),
    yaw: atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
  }
}

function product([aw, ax, ay, az]: Quaternion, [bw, bx, by, bz]: Quaternion): Quaternion {
  return [
    aw * bw - ax * bx - ay * by - az * bz,
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
  ]
}

function normalised(q: Quaternion): Quaternion {
  const length = hypot(...q)
  return q.map(value => value / length) as Quaternion
}
