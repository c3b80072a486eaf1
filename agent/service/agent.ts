import { connectMqtt } from '@kestrel/link'
import { type Clock, type Log, RealClock } from '@kestrel/runtime'
import { CameraModule } from './camera-module.js'
import type { AgentConfig } from './config.js'
import { FlightModule } from './flight-module.js'
import { type Connect, LinkModule } from './link-module.js'
import { startModules } from './modules.js'
import { ReportModule } from './report-module.js'
import { StudentModule } from './student-module.js'
import { UplinkModule } from './uplink-module.js'

export interface RunningAgent {
  /** Resolves when the source has ended, or after `stop`; rejects when the student is gone. */
  finished: Promise<void>
  /** Sends what is outstanding, says goodbye and releases everything. */
  stop(): Promise<void>
}

/**
 * Starts everything that runs on the drone. A broker that is away is no reason to fail.
 *
 * @throws UserError where student or camera cannot be used
 */
export async function startAgent(
  config: AgentConfig,
  options: { log: Log; clock?: Clock; connect?: Connect },
): Promise<RunningAgent> {
  const { log, clock = new RealClock(), connect = connectMqtt } = options
  const tools = { clock, log }
  const student = new StudentModule(config, tools)
  const camera = new CameraModule(config, tools)
  const link: LinkModule = new LinkModule(config, { student, uplink: () => uplink, connect, ...tools })
  const uplink = new UplinkModule(config, {
    student,
    publish: message => link.publishSegment(message),
    ...tools,
  })
  const flight = new FlightModule(config, { student, camera, onFrame: frame => uplink.offer(frame), clock })
  const report = new ReportModule({ student, camera, link, uplink, flight }, tools)
  // Stopped in reverse: frames end, the last segment leaves, the summary is written, the link says goodbye.
  const stop = await startModules([student, camera, link, report, uplink, flight], log)
  return { finished: flight.finished, stop }
}
