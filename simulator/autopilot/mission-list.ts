import type { Flight } from '../mission/plan.js'
import { type Home, toGeodetic } from './geodesy.js'

// MAV_CMD and MAV_FRAME numbers of the items used here.
const navWaypoint = 16
const navLoiterTime = 19
const navReturnToLaunch = 20
const navLand = 21
const navTakeoff = 22
const doChangeSpeed = 178
const global = 0
const globalRelativeAlt = 3

/** A mission item as MAVLink's mission protocol lists it. */
export interface ListedItem {
  frame: number
  command: number
  /** param1..param4. */
  params: [number, number, number, number]
  latitude: number
  longitude: number
  /** m, in the item's frame. */
  altitudeM: number
}

export interface Plan {
  /** Item 0 is home, as in ArduPilot. */
  items: ListedItem[]
  /** Sequence number of each item of Kestrel's mission. */
  seqOf: number[]
}

/** The flight's mission as ArduPilot would list it: home first, and a DO_CHANGE_SPEED wherever the speed changes. */
export function missionList({ mission, homeZ }: Flight, home: Home): Plan {
  const items: ListedItem[] = [
    { frame: global, command: navWaypoint, params: [0, 0, 0, 0], ...home, altitudeM: homeZ },
  ]
  const seqOf: number[] = []
  let speed: number | undefined
  let at = { ...home, altitudeM: 0 }
  const add = (command: number, params: ListedItem['params'] = [0, 0, 0, 0], place = at) =>
    items.push({ frame: globalRelativeAlt, command, params, ...place })
  for (const item of mission) {
    if ((item.type === 'waypoint' || item.type === 'return') && item.speedMps !== speed) {
      speed = item.speedMps
      // Type 1: speed over the ground; -1: throttle unchanged.
      add(doChangeSpeed, [1, speed, -1, 0], { latitude: 0, longitude: 0, altitudeM: 0 })
    }
    seqOf.push(items.length)
    if (item.type === 'take-off') {
      at = { ...at, altitudeM: item.altitudeM }
      add(navTakeoff)
    } else if (item.type === 'waypoint') {
      at = { ...toGeodetic(home, item.x, item.y), altitudeM: item.altitudeM }
      add(navWaypoint)
    } else if (item.type === 'loiter') {
      add(navLoiterTime, [item.seconds, 0, item.radiusM, 0])
    } else {
      const nowhere = { latitude: 0, longitude: 0, altitudeM: 0 }
      add(item.type === 'return' ? navReturnToLaunch : navLand, undefined, nowhere)
    }
  }
  return { items, seqOf }
}
