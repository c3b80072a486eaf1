export { type Flight, type FlightOptions, planFlight } from './mission/plan.js'
export { type Mission, type MissionItem, missionSchema } from './mission/schema.js'
export type { GroundHeight, VehicleState } from './vehicle-state.js'
