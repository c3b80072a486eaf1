import { connectMqtt } from '@kestrel/link'
import { type Clock, type Log, RealClock } from '@kestrel/runtime'
import type { Frame } from '../camera/camera.js'
import { CameraModule } from './camera-module.js'
import type { AgentConfig } from './config.js'
import { FlightModule } from './flight-module.js'
import { type Connect, LinkModule } from './link-module.js'
import { startModules } from './modules.js'
import { OutputModule } from './output-module.js'
import { ReportModule } from './report-module.js'
import { StudentModule } from './student-module.js'
import { UplinkModule } from './uplink-module.js'
import { VehicleModule } from './vehicle-module.js'

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
  const link: LinkModule = new LinkModule(config, {
    student,
    uplink: () => uplink,
    connect,
    takesUpdates: () => vehicle?.learning ?? true,
    ...tools,
  })
  const uplink = new UplinkModule(config, {
    student,
    publish: message => link.publishSegment(message),
    poseAt: captureMs => vehicle?.poseAt(captureMs),
    ...tools,
  })
  const onFrame = (frame: Frame) => {
    vehicle?.see(frame)
    uplink.offer(frame)
  }
  const output = new OutputModule(config, {
    student,
    onValue: (name, value) => vehicle?.namedValue(name, value),
    ...tools,
  })
  const flight = new FlightModule(config, {
    student,
    camera,
    onFrame,
    onLabels: labelled => output.offer(labelled),
    clock,
  })
  const parts = { student, camera, link, uplink, flight }
  const vehicle =
    config.vehicle &&
    new VehicleModule(config.vehicle, {
      ...parts,
      stateDir: config.stateDir,
      rollBack: async () => {
        const { rolledBack, to, detail } = await student.rollBack()
        if (!rolledBack) throw new Error(detail)
        return { version: to }
      },
      ...tools,
    })
  const report = new ReportModule({ ...parts, vehicle }, tools)
  // Stopped in reverse: frames end, the last segment leaves, the summary is written, the link says goodbye.
  const stop = await startModules(
    [student, camera, ...(vehicle ? [vehicle] : []), link, report, uplink, output, flight],
    log,
  )
  return { finished: flight.finished, stop }
}
