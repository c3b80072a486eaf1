import { limits } from './limits.js'

export interface Vector {
  x: number
  y: number
  z: number
}

/**
 * Roll and pitch of a multirotor, whose thrust points along its own up axis: it has to hold the vehicle up, accelerate it and
 * overcome the drag of the air.
 *
 * @param acceleration m/s², east, north, up
 * @param airVelocity of the vehicle through the air, m/s, same axes
 * @param yaw radians clockwise from north
 */
export function lean(
  acceleration: Vector,
  airVelocity: Vector,
  yaw: number,
): { roll: number; pitch: number } {
  const east = acceleration.x + limits.dragPerS * airVelocity.x
  const north = acceleration.y + limits.dragPerS * airVelocity.y
  const up = acceleration.z + limits.gravityMps2
  const forward = north * Math.cos(yaw) + east * Math.sin(yaw)
  const right = east * Math.cos(yaw) - north * Math.sin(yaw)
  return { pitch: Math.atan2(-forward, up), roll: Math.atan2(right, Math.hypot(forward, up)) }
}

/** Rates of the body's axes (forward, right, down) from those of the Euler angles (yaw, then pitch, then roll). */
export function bodyRates(
  attitude: { roll: number; pitch: number },
  euler: { roll: number; pitch: number; yaw: number },
): { roll: number; pitch: number; yaw: number } {
  const [sinRoll, cosRoll] = [Math.sin(attitude.roll), Math.cos(attitude.roll)]
  const [sinPitch, cosPitch] = [Math.sin(attitude.pitch), Math.cos(attitude.pitch)]
  return {
    roll: euler.roll - euler.yaw * sinPitch,
    pitch: euler.pitch * cosRoll + euler.yaw * sinRoll * cosPitch,
    yaw: euler.yaw * cosRoll * cosPitch - euler.pitch * sinRoll,
  }
}

/**
 * Yaw that turns towards the course like a heading controller does: a rate that falls with the square root of what is left to
 * turn, within limits of rate and acceleration. Unwrapped radians, one for each sample.
 *
 * @param follow whether to turn at this sample: not on the ground and where it is being left or approached vertically
 */
export function turnTowardsCourse(
  east: Float64Array,
  north: Float64Array,
  follow: (sample: number) => boolean,
  startYaw: number,
): Float64Array {
  const dt = 1 / limits.gridHz
  const most = limits.yawAccelerationRps2
  const yaws = new Float64Array(east.length)
  let [yaw, rate, target] = [startYaw, 0, startYaw]
  for (let i = 0; i < yaws.length; i++) {
    if (follow(i) && Math.hypot(east[i], north[i]) > limits.courseFromMps)
      target = Math.atan2(east[i], north[i])
    const left = wrap(target - yaw)
    // Linear near the target, so that it settles, and never so fast that it could not stop in time.
    const wanted =
      Math.sign(left) *
      Math.min(limits.yawRateRps, 1.5 * Math.abs(left), Math.sqrt(1.4 * most * Math.abs(left)))
    rate += Math.min(Math.max((wanted - rate) * 4 * dt, -most * dt), most * dt)
    yaw += rate * dt
    yaws[i] = yaw
  }
  return yaws
}

/** Into [-π, π). */
export function wrap(angle: number): number {
  return angle - 2 * Math.PI * Math.floor((angle + Math.PI) / (2 * Math.PI))
}
