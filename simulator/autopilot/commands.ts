import { message, type Sender } from '@kestrel/link/mavlink'
import { common } from 'mavlink-mappings'
import { statusText } from './announcements.js'
import { isCopterMode, modeName } from './copter-modes.js'
import type { Peer } from './peer.js'
import { telemetry } from './telemetry.js'

const { MavCmd, MavResult, MavSeverity } = common

export interface Command {
  command: common.MavCmd
  /** param1..param7. */
  params: number[]
}

/** COMMAND_LONG (#76) and COMMAND_INT (#75): what is asked for is done where it can be, and always acknowledged. */
export function answerCommand(peer: Peer, { command, params }: Command, to: Sender) {
  const result = handlers.get(command)?.(peer, params) ?? MavResult.UNSUPPORTED
  peer.send(
    message(common.CommandAck, {
      command,
      result,
      progress: 0,
      resultParam2: 0,
      targetSystem: to.system,
      targetComponent: to.component,
    }),
  )
}

type Handler = (peer: Peer, params: number[]) => common.MavResult

const handlers = new Map<common.MavCmd, Handler>([
  [MavCmd.SET_MESSAGE_INTERVAL, setMessageInterval],
  [MavCmd.GET_MESSAGE_INTERVAL, getMessageInterval],
  [MavCmd.REQUEST_MESSAGE, (peer, [id]) => sendOne(peer, id)],
  [MavCmd.REQUEST_AUTOPILOT_CAPABILITIES, peer => sendOne(peer, 148)],
  [MavCmd.GET_HOME_POSITION, peer => sendOne(peer, 242)],
  [MavCmd.COMPONENT_ARM_DISARM, armOrDisarm],
  [MavCmd.DO_SET_MODE, setMode],
])

function setMessageInterval(peer: Peer, [id, intervalUs]: number[]): common.MavResult {
  return peer.schedule.ask(id, intervalUs / 1000, peer.vehicle.now().unixMs)
    ? MavResult.ACCEPTED
    : MavResult.DENIED
}

/** Answers MESSAGE_INTERVAL (#244): -1 is never, 0 that there is no such message. */
function getMessageInterval(peer: Peer, [id]: number[]): common.MavResult {
  const messageId = id >= 0 && id <= 0xffff ? Math.trunc(id) : 0
  const interval = peer.schedule.intervalMs(id)
  const intervalUs = interval === undefined ? 0 : interval === 0 ? -1 : Math.round(interval * 1000)
  peer.send(message(common.MessageInterval, { messageId, intervalUs }))
  return interval === undefined ? MavResult.FAILED : MavResult.ACCEPTED
}

function sendOne(peer: Peer, id: number): common.MavResult {
  const entry = telemetry.get(id)
  if (entry === undefined) return MavResult.DENIED
  peer.send(entry.make(peer.vehicle.now()))
  return MavResult.ACCEPTED
}

/** The flight arms and disarms by its plan: what it already is can be asked for, anything else fails as a failed check does. */
function armOrDisarm(peer: Peer, [arm]: number[]): common.MavResult {
  const { state } = peer.vehicle.now()
  if (arm !== 0 && arm !== 1) return MavResult.DENIED
  if (state.armed === (arm === 1)) return MavResult.ACCEPTED
  const why =
    arm === 0
      ? 'Disarm: flying'
      : state.phase === 'ground'
        ? 'Arm: the simulator arms by itself'
        : 'Arm: the simulated flight is over'
  peer.send(statusText(why, MavSeverity.CRITICAL))
  return MavResult.FAILED
}

function setMode(peer: Peer, [flags, mode]: number[]): common.MavResult {
  // MAV_MODE_FLAG_CUSTOM_MODE_ENABLED: without it the mode is none of ArduCopter's numbers.
  if ((flags & 1) === 0) return MavResult.DENIED
  return chooseMode(peer, mode)
}

export function chooseMode(peer: Peer, mode: number): common.MavResult {
  if (!isCopterMode(mode)) {
    peer.send(statusText(`No such mode ${mode}`, MavSeverity.WARNING))
    return MavResult.FAILED
  }
  if (peer.vehicle.chooseMode(mode)) {
    peer.send(statusText(`Mode ${modeName(mode)}`))
    return MavResult.ACCEPTED
  }
  peer.send(statusText(`Mode change to ${modeName(mode)} failed: simulated flight`, MavSeverity.WARNING))
  return MavResult.FAILED
}
