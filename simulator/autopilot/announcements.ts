import { message } from '@kestrel/link/mavlink'
import { common, type MavLinkData } from 'mavlink-mappings'
import type { Flight } from '../mission/plan.js'
import type { Plan } from './mission-list.js'

export interface Announcement {
  timeS: number
  data: MavLinkData
}

const { MavSeverity } = common

/** STATUSTEXT (#253) of one chunk. @param text ASCII, at most 50 characters; what is beyond is cut off */
export function statusText(text: string, severity: common.MavSeverity = MavSeverity.INFO) {
  return message(common.StatusText, { severity, text: text.slice(0, 50), id: 0, chunkSeq: 0 })
}

/** What every connection hears first: no ground station should take it for a real vehicle. */
export const greeting = statusText('Kestrel simulator, speaking as ArduCopter V4.5.7')

const names: Record<number, string> = {
  16: 'WP',
  19: 'LoiterTime',
  20: 'RTL',
  21: 'Land',
  22: 'Takeoff',
}

/**
 * What the autopilot says at which moment of the flight, in ArduCopter's words where it has some. Found by looking at the flight
 * 20 times a second.
 */
export function announcementsOf(flight: Flight, plan: Plan): Announcement[] {
  const all: Announcement[] = []
  const say = (timeS: number, text: string, severity?: common.MavSeverity) =>
    all.push({ timeS, data: statusText(text, severity) })
  const begin = (timeS: number, item: number) => {
    const seq = plan.seqOf[item]
    say(timeS, `Mission: ${seq} ${names[plan.items[seq].command]}`)
  }
  const reach = (timeS: number, item: number) => {
    const seq = plan.seqOf[item]
    say(timeS, `Reached command #${seq}`)
    all.push({ timeS, data: message(common.MissionItemReached, { seq }) })
  }
  let before = flight.stateAt(0)
  for (let step = 1; step <= Math.ceil(flight.durationS * 20); step++) {
    const timeS = step / 20
    const state = flight.stateAt(timeS)
    if (state.armed && !before.armed) {
      say(timeS, 'Arming motors')
      say(timeS, 'Mode AUTO')
    }
    if (state.phase === 'take-off' && before.phase === 'ground') begin(timeS, 0)
    for (let item = before.missionItem; item < state.missionItem; item++) {
      reach(timeS, item)
      begin(timeS, item + 1)
    }
    if (state.phase === 'landing' && before.phase !== 'landing') say(timeS, 'Land: descending')
    if (state.phase === 'landed' && before.phase !== 'landed') {
      reach(timeS, state.missionItem)
      say(timeS, 'Land complete', MavSeverity.NOTICE)
    }
    if (!state.armed && before.armed) say(timeS, 'Disarming motors')
    before = state
  }
  return all
}
