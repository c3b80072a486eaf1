export type { GroundHeight, VehicleState } from './vehicle-state.js'
