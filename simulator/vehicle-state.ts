/**
 * Where the vehicle is and how it moves at one moment. The camera renders from it and the autopilot reports it, so that the two can
 * never disagree.
 *
 * The frame is local: x metres east and y metres north of home, z metres above mean sea level.
 */
export interface VehicleState {
  /** Since the start of the scenario, s. */
  timeS: number
  /** East, north of home, m; above mean sea level, m. */
  position: { x: number; y: number; z: number }
  /** m/s, same axes. */
  velocity: { x: number; y: number; z: number }
  /** Radians; yaw clockwise from north, pitch nose up, roll right wing down (as in MAVLink's ATTITUDE, #30). */
  attitude: { roll: number; pitch: number; yaw: number }
  /** rad/s, of the body's axes (forward, right, down). */
  rates: { roll: number; pitch: number; yaw: number }
  armed: boolean
  phase: 'ground' | 'take-off' | 'mission' | 'loiter' | 'return' | 'landing' | 'landed'
  /** Index of the mission item that is being flown. */
  missionItem: number
}

/** Height of the bare ground, m above mean sea level, at x east and y north of home; water counts with its surface. */
export type GroundHeight = (x: number, y: number) => number
