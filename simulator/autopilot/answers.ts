import { message, type Sender } from '@kestrel/link/mavlink'
import { common, type MavLinkData } from 'mavlink-mappings'
import { autopilotAddress } from './address.js'
import { answerCommand, type Command, chooseMode } from './commands.js'
import { answerMission } from './mission-protocol.js'
import type { Peer } from './peer.js'
import { dataStreams, telemetry } from './telemetry.js'

/** Answers one message. What is not for this vehicle, or needs no answer, is passed over. */
export function answer(peer: Peer, data: MavLinkData, from: Sender) {
  if (!isForUs(data)) return
  if (data instanceof common.CommandLong) answerCommand(peer, longCommand(data), from)
  else if (data instanceof common.CommandInt) answerCommand(peer, intCommand(data), from)
  else if (data instanceof common.SetMode) acknowledgeMode(peer, data, from)
  else if (data instanceof common.ParamRequestList) peer.listParameters()
  else if (data instanceof common.ParamRequestRead) readParameter(peer, data)
  else if (data instanceof common.ParamSet) setParameter(peer, data)
  else if (data instanceof common.RequestDataStream) askForStream(peer, data)
  else if (data instanceof common.TimeSync) synchronise(peer, data, from)
  else if (data instanceof common.Ping) answerPing(peer, data, from)
  else answerMission(peer, data, from)
}

/** Whether a message is addressed to this vehicle's autopilot, or to everybody (0), or to nobody in particular. */
function isForUs(data: MavLinkData): boolean {
  const { targetSystem = 0, targetComponent = 0 } = data as {
    targetSystem?: number
    targetComponent?: number
  }
  return (
    (targetSystem === 0 || targetSystem === autopilotAddress.system) &&
    (targetComponent === 0 || targetComponent === autopilotAddress.component)
  )
}

function longCommand(data: common.CommandLong): Command {
  const { command, _param1, _param2, _param3, _param4, _param5, _param6, _param7 } = data
  return { command, params: [_param1, _param2, _param3, _param4, _param5, _param6, _param7] }
}

function intCommand(data: common.CommandInt): Command {
  const { command, _param1, _param2, _param3, _param4, _param5, _param6, _param7 } = data
  return { command, params: [_param1, _param2, _param3, _param4, _param5, _param6, _param7] }
}

/** SET_MODE (#11), which ArduPilot acknowledges as if it were a command of that number. */
function acknowledgeMode(peer: Peer, { customMode }: common.SetMode, to: Sender) {
  peer.send(
    message(common.CommandAck, {
      command: 11 as common.MavCmd,
      result: chooseMode(peer, customMode),
      progress: 0,
      resultParam2: 0,
      targetSystem: to.system,
      targetComponent: to.component,
    }),
  )
}

function readParameter(peer: Peer, { paramId, paramIndex }: common.ParamRequestRead) {
  const { parameters } = peer.vehicle
  const parameter = paramIndex >= 0 ? parameters.at(paramIndex) : parameters.find(paramId)
  if (parameter !== undefined) peer.send(peer.vehicle.parameterValue(parameter))
}

/** An unknown parameter is met with silence, as by ArduPilot. */
function setParameter(peer: Peer, { paramId, paramValue }: common.ParamSet) {
  const parameter = peer.vehicle.parameters.set(paramId, paramValue)
  if (parameter !== undefined) peer.send(peer.vehicle.parameterValue(parameter))
}

/** REQUEST_DATA_STREAM (#66), deprecated but still what many ground stations begin with. */
function askForStream(peer: Peer, { reqStreamId, reqMessageRate, startStop }: common.RequestDataStream) {
  const { unixMs } = peer.vehicle.now()
  const intervalMs = startStop === 0 || reqMessageRate === 0 ? -1 : 1000 / reqMessageRate
  for (const [id, { rate }] of telemetry) {
    if (typeof rate === 'number') continue
    if (reqStreamId === 0 || dataStreams.get(reqStreamId) === rate) peer.schedule.ask(id, intervalMs, unixMs)
  }
}

/** TIMESYNC (#111): tc1 of 0 asks for our time, ns since boot. */
function synchronise(peer: Peer, { tc1, ts1 }: common.TimeSync, to: Sender) {
  if (tc1 !== 0n) return
  peer.send(
    message(common.TimeSync, {
      tc1: BigInt(peer.vehicle.now().bootMs) * 1_000_000n,
      ts1,
      targetSystem: to.system,
      targetComponent: to.component,
    }),
  )
}

/** PING (#4): target 0 asks, an address answers. */
function answerPing(peer: Peer, { timeUsec, seq, targetSystem, targetComponent }: common.Ping, to: Sender) {
  if (targetSystem !== 0 || targetComponent !== 0) return
  peer.send(message(common.Ping, { timeUsec, seq, targetSystem: to.system, targetComponent: to.component }))
}
