import type { DroneState } from '../../dashboard/wire.js'
import { duration } from '../shared/format.js'

/** Telemetry comes every second. */
const SILENT_MS = 5000

export type Health = 'good' | 'warn' | 'bad' | 'off'

/** How a drone does, in two words, and what somebody should know beside. */
export function healthOf(
  state: DroneState,
  nowMs: number,
): { health: Health; word: string; notes: string[] } {
  const { online, refusal, telemetry, heardMs, learning, vehicle, board } = state
  const silentMs = nowMs - heardMs
  if (refusal !== undefined) return { health: 'bad', word: 'Left aside', notes: [refusal] }
  if (!online) {
    return {
      health: 'off',
      word: 'Offline',
      notes: [`Last heard ${duration(silentMs / 1000)} ago. What is below is as it was then.`],
    }
  }
  if (silentMs > SILENT_MS) {
    const text = `Nothing was heard for ${duration(silentMs / 1000)}. The drone flies on with what it has; what is below is as it was then.`
    return { health: 'bad', word: 'Link lost', notes: [text] }
  }
  const notes = [...(board?.troubles ?? [])]
  if (telemetry !== undefined && telemetry.outboxSegments > 2)
    notes.push(`${telemetry.outboxSegments} segments wait on board for the link`)
  if (vehicle !== undefined && !vehicle.connected) notes.push('the autopilot is not heard')
  const holds = learning?.holds ?? []
  const word = learning?.paused ? 'Paused' : holds.length > 0 ? 'Waiting' : 'Learning'
  if (holds.length > 0) notes.push(`nothing is sampled: ${holds.join(', ')}`)
  return { health: notes.length > 0 ? 'warn' : 'good', word, notes }
}
