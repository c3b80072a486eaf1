import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { loadAgentConfig } from './config.js'
import { agentSockets, askAgent } from './control-socket.js'
import type { AgentStatus } from './status-module.js'

/**
 * Asks the agent that runs with the configuration in `file`, or as the service, and prints its answer.
 *
 * @returns the exit code: 0, or 1 where no agent runs
 * @throws UserError where it may not be asked
 */
export async function printStatus(file: string, json: boolean): Promise<number> {
  // Without a configuration of one's own there is still the service.
  const sockets = agentSockets(existsSync(file) ? loadAgentConfig(file).stateDir : dirname(file))
  for (const path of sockets) {
    const status = await askAgent(path, { command: 'status' })
    if (status === undefined) continue
    const text = json ? JSON.stringify(status, null, 2) : describeStatus(status as AgentStatus)
    process.stdout.write(`${text}\n`)
    return 0
  }
  process.stderr.write(
    `kestrel-agent: no agent runs (nobody answers on ${sockets.join(' or ')}): ` +
      'start it with "sudo systemctl start kestrel-agent" or "kestrel-agent run"\n',
  )
  return 1
}

/** What `kestrel-agent status` prints. */
export function describeStatus(status: AgentStatus): string {
  const { flight, camera, model, link, uplink, board, vehicle, log } = status
  const lines: [string, string][] = [
    ['Drone', `${status.drone}, ${status.software}, up ${duration(status.upS)}`],
    ['Camera', camera.trouble ?? camera.description],
    [
      'Labels',
      `${flight.fps.toFixed(1)} frames/s, ${flight.p50Ms.toFixed(0)} ms camera to label (99 %: ${flight.p99Ms.toFixed(0)} ms); ` +
        `${flight.frames} in all, ${flight.dropped} came too fast`,
    ],
    ['Model', `${model.student}, version ${model.version}`],
    [
      'Link',
      `${link.up ? 'up' : 'down'}, ${link.broker} (${link.paired ? 'paired' : 'not paired'}); sampling ${uplink.samplingFps.toFixed(2)} frames/s, ` +
        `${uplink.waiting} segments wait, ${uplink.sent} sent, ${uplink.dropped} dropped`,
    ],
    ['Vehicle', describeVehicle(vehicle)],
    ['Board', describeBoard(board)],
    ['Log', describeLog(log)],
  ]
  if (board?.limitFps !== undefined) {
    lines.push([
      'Spared',
      `at most ${board.limitFps.toFixed(1)} frames/s because of ${board.reasons.join(', ')}; ${board.skipped} frames let go`,
    ])
  }
  const refused = Object.entries(link.refused).map(([reason, count]) => `${reason} ${count}`)
  if (refused.length > 0) lines.push(['Refused', `messages from the link: ${refused.join(', ')}`])
  return lines.map(([name, text]) => `${name.padEnd(7)} ${text}`).join('\n')
}

function describeVehicle(vehicle: AgentStatus['vehicle']): string {
  if (vehicle === undefined) return 'none in the configuration'
  if (!vehicle.connected) return 'no autopilot is heard'
  return `${vehicle.kind}, ${vehicle.mode}, ${vehicle.armed ? 'armed' : 'disarmed'}`
}

function describeLog({ flight, MB, trouble }: AgentStatus['log']): string {
  const what = flight === '' ? 'no flight is logged now' : flight
  return `${what}; ${MB.toFixed(0)} MB of logs${trouble === undefined ? '' : `; NOT WRITTEN: ${trouble}`}`
}

function describeBoard(board: AgentStatus['board']): string {
  if (board === undefined) return 'not read yet'
  const parts = [
    board.model,
    `CPU ${percent(board.cpu)}`,
    `memory ${percent(board.memory)}`,
    board.temperatureC === undefined ? 'no thermometer' : `${board.temperatureC.toFixed(0)} °C`,
    board.diskFreeMB === undefined ? '' : `${board.diskFreeMB.toFixed(0)} MB free`,
    board.underVoltage ? 'UNDER-VOLTAGE' : '',
    board.thermalThrottled ? 'THROTTLED BY HEAT' : board.cpuThrottled ? 'THROTTLED' : '',
    board.diskFull ? 'DISK FULL' : '',
  ]
  return parts.filter(part => part !== '').join(', ')
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  if (minutes === 0) return `${seconds.toFixed(0)} s`
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
