/** Roll, pitch and yaw of a quaternion [w,x,y,z] from body to north-east-down, degrees (yaw clockwise from north, 0..360). */
export function anglesOf([w, x, y, z]: number[]): { roll: number; pitch: number; yaw: number } {
  const degrees = 180 / Math.PI
  return {
    roll: Math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)) * degrees,
    pitch: Math.asin(Math.max(-1, Math.min(1, 2 * (w * y - z * x)))) * degrees,
    yaw: compass(Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) * degrees),
  }
}

/** An angle as a course, 0 ≤ it < 360. */
export function compass(degrees: number): number {
  return ((degrees % 360) + 360) % 360
}
