import { connectMqtt } from '@kestrel/link'
import { type Clock, type Log, RealClock } from '@kestrel/runtime'
import type { Frame } from '../camera/camera.js'
import { BoardModule } from './board-module.js'
import { CameraModule } from './camera-module.js'
import { Commands } from './commands.js'
import type { AgentConfig } from './config.js'
import { FlightModule } from './flight-module.js'
import { LearningControls } from './learning-controls.js'
import { type Connect, LinkModule } from './link-module.js'
import { startModules } from './modules.js'
import { openNotify } from './notify.js'
import { OutputModule } from './output-module.js'
import { ReportModule } from './report-module.js'
import { StatusModule } from './status-module.js'
import { StudentModule } from './student-module.js'
import { SystemdModule, watchdogMs } from './systemd-module.js'
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
  options: {
    log: Log
    clock?: Clock
    connect?: Connect
    /** Where /proc and /sys lie; tests give a tree of their own. */
    root?: string
  },
): Promise<RunningAgent> {
  const { log, clock = new RealClock(), connect = connectMqtt, root } = options
  const tools = { clock, log }
  const student = new StudentModule(config, tools)
  const camera = new CameraModule(config, tools)
  const link: LinkModule = new LinkModule(config, {
    student,
    uplink: () => uplink,
    connect,
    takesUpdates: () => controls.learning.get(),
    onCommand: command => commands.run(command),
    ...tools,
  })
  const uplink = new UplinkModule(config, {
    student,
    publish: message => link.publishSegment(message),
    poseAt: captureMs => vehicle?.poseAt(captureMs),
    ...tools,
  })
  const controls = new LearningControls({ student, uplink, stateDir: config.stateDir, log })
  const commands = new Commands({ controls, version: () => student.applier.version, log })
  const board: BoardModule = new BoardModule(config, {
    camera,
    uplink,
    labelledFps: () => flight.summary().fps,
    root,
    ...tools,
  })
  const systemd: SystemdModule = new SystemdModule({
    notify: openNotify(process.env.NOTIFY_SOCKET),
    watchdogMs: watchdogMs(),
    status: () => status.line(),
    clock,
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
  const flight: FlightModule = new FlightModule(config, {
    student,
    camera,
    take: frame => board.take(frame),
    onFrame,
    onLabels: labelled => {
      systemd.labelled()
      output.offer(labelled)
    },
    onWait: () => systemd.waiting(camera.camera.trouble),
    clock,
  })
  const parts = { student, camera, link, uplink, flight }
  const vehicle =
    config.vehicle &&
    new VehicleModule(config.vehicle, {
      ...parts,
      board: { read: () => board.computerStatus() },
      stateDir: config.stateDir,
      controls,
      ...tools,
    })
  const all = { ...parts, board, controls, vehicle }
  const status: StatusModule = new StatusModule(config, all, tools)
  const report = new ReportModule(all, tools)
  // Stopped in reverse: frames end, the last segment leaves, the summary is written, the link says goodbye.
  const modules = [
    status,
    student,
    camera,
    ...(vehicle ? [vehicle] : []),
    link,
    report,
    uplink,
    board,
    output,
    flight,
    systemd,
  ]
  const stop = await startModules(modules, log)
  return { finished: flight.finished, stop }
}
