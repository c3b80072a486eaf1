import { message, type Sender } from '@kestrel/link/mavlink'
import { common, type MavLinkData } from 'mavlink-mappings'
import type { ListedItem } from './mission-list.js'
import type { Peer } from './peer.js'
import { missionCurrent } from './status-messages.js'

const { MavMissionResult, MavMissionType } = common

/** The mission protocol: a mission can be downloaded, not changed. */
export function answerMission(peer: Peer, data: MavLinkData, to: Sender) {
  if (data instanceof common.MissionRequestList) countItems(peer, data.missionType, to)
  else if (data instanceof common.MissionRequestInt || data instanceof common.MissionRequest)
    sendItem(peer, data, to)
  else if (data instanceof common.MissionSetCurrent) peer.send(missionCurrent(peer.vehicle.now()))
  else if (
    data instanceof common.MissionCount ||
    data instanceof common.MissionClearAll ||
    data instanceof common.MissionWritePartialList
  )
    acknowledge(peer, MavMissionResult.DENIED, data.missionType, to)
}

function countItems(peer: Peer, missionType: common.MavMissionType, to: Sender) {
  const isMission = missionType === MavMissionType.MISSION
  peer.send(
    message(common.MissionCount, {
      targetSystem: to.system,
      targetComponent: to.component,
      // No fences, no rally points.
      count: isMission ? peer.vehicle.plan.items.length : 0,
      missionType,
      opaqueId: 0,
    }),
  )
}

/** MISSION_REQUEST_INT (#51) is answered with MISSION_ITEM_INT, the older MISSION_REQUEST (#40) with MISSION_ITEM. */
function sendItem(peer: Peer, request: common.MissionRequestInt | common.MissionRequest, to: Sender) {
  const { seq, missionType } = request
  const item = missionType === MavMissionType.MISSION ? peer.vehicle.plan.items[seq] : undefined
  if (item === undefined) {
    acknowledge(peer, MavMissionResult.INVALID_SEQUENCE, missionType, to)
    return
  }
  const both = { ...sharedFields(item, to), seq, missionType }
  const current = missionCurrent(peer.vehicle.now()).seq === seq ? 1 : 0
  peer.send(
    request instanceof common.MissionRequestInt
      ? message(common.MissionItemInt, {
          ...both,
          current,
          x: Math.round(item.latitude * 1e7),
          y: Math.round(item.longitude * 1e7),
        })
      : message(common.MissionItem, { ...both, current, x: item.latitude, y: item.longitude }),
  )
}

/** The fields that MISSION_ITEM and MISSION_ITEM_INT share. */
function sharedFields(item: ListedItem, to: Sender) {
  const [param1, param2, param3, param4] = item.params
  return {
    targetSystem: to.system,
    targetComponent: to.component,
    frame: item.frame as common.MavFrame,
    command: item.command as common.MavCmd,
    autocontinue: 1,
    param1,
    param2,
    param3,
    param4,
    z: item.altitudeM,
  }
}

function acknowledge(
  peer: Peer,
  type: common.MavMissionResult,
  missionType: common.MavMissionType,
  to: Sender,
) {
  peer.send(
    message(common.MissionAck, {
      targetSystem: to.system,
      targetComponent: to.component,
      type,
      missionType,
      opaqueId: 0,
    }),
  )
}
