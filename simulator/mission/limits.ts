/** What the vehicle can do; the figures are those of a camera multirotor of a few kilograms, in metres and seconds. */
export const limits = {
  /** The trajectory's grid, samples a second. */
  gridHz: 50,
  /** Horizontal acceleration along a leg (ArduPilot's WPNAV_ACCEL) and in corners, and their sum, m/s². */
  rampMps2: 1.8,
  cornerMps2: 2.8,
  horizontalMps2: 4,
  /** WPNAV_SPEED_UP and WPNAV_SPEED_DN, m/s. */
  climbMps: 3,
  descendMps: 2,
  /** LAND_SPEED, m/s, used below LAND_ALT_LOW, m. */
  touchdownMps: 0.5,
  touchdownFromM: 5,
  /** Widths of the smoothing kernels (smooth() in smoothing.ts), s: they set the jerk. */
  horizontalSmoothingS: 2,
  verticalSmoothingS: 1.5,
  /** Yaw follows the course at most this fast, rad/s and rad/s². */
  yawRateRps: 0.8,
  yawAccelerationRps2: 1,
  /** Below this speed a course says nothing, m/s. */
  courseFromMps: 1,
  /** Drag of the airframe as an acceleration for each m/s of airspeed, 1/s: 10° nose down at 15 m/s. */
  dragPerS: 0.12,
  gravityMps2: 9.80665,
  /** Circles are flown no faster than this, rad/s, or than this much centripetal acceleration, m/s². */
  circleRps: 0.2,
  circleMps2: 1.5,
  /** On the ground before arming, armed before lift-off, landed before disarming, and recorded after that, s. */
  armAtS: 5,
  idleS: 3,
  disarmAfterS: 2,
  afterS: 3,
} as const
