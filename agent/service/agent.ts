import { connectMqtt } from '@kestrel/link'
import { type Clock, type Log, observeLog, RealClock } from '@kestrel/runtime'
import type { Frame } from '../camera/camera.js'
import { BoardModule } from './board-module.js'
import { CameraModule } from './camera-module.js'
import { Commands } from './commands.js'
import type { AgentConfig } from './config.js'
import { FlightModule } from './flight-module.js'
import { LearningControls } from './learning-controls.js'
import { type Connect, LinkModule } from './link-module.js'
import { LogModule } from './log-module.js'
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
  const { clock = new RealClock(), connect = connectMqtt, root } = options
  const log = observeLog(options.log, line => logs?.line(line))
  const tools = { clock, log }
  const student = new StudentModule(config, tools)
  const camera = new CameraModule(config, tools)
  const link: LinkModule = new LinkModule(config, {
    student,
    uplink: () => uplink,
    connect,
    takesUpdates: () => controls.learning.get(),
    flight: () => logs?.flight ?? '',
    watch: {
      crossed: (what, bytes) => logs?.watch.crossed?.(what, bytes),
      state: up => logs?.watch.state?.(up),
      answered: result => logs?.watch.answered?.(result),
    },
    onCommand: command => commands.run(command),
    ...tools,
  })
  const uplink = new UplinkModule(config, {
    student,
    publish: message => link.publishSegment(message),
    poseAt: captureMs => vehicle?.poseAt(captureMs),
    onSegment: segment => logs?.segment(segment),
    ...tools,
  })
  const controls = new LearningControls({ student, uplink, stateDir: config.stateDir, log })
  const commands = new Commands({ controls, version: () => student.applier.version, log })
  const board: BoardModule = new BoardModule(config, {
    camera,
    uplink,
    labelledFps: () => flight.summary().fps,
    limitLogs: reserveBytes => logs?.limit(reserveBytes),
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
    if (uplink.offer(frame)) logs?.expect(frame.id)
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
      logs?.labelled(labelled)
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
      onChange: autopilot => logs?.autopilot(autopilot),
      onText: (text, severity) => logs?.text(text, severity),
      onFrame: packet => logs?.frame(packet),
      ...tools,
    })
  const logs: LogModule | undefined = new LogModule(config, {
    student,
    vehicle: () => vehicle?.telemetry(),
    onFlight: () => void link.sayStatus(),
    announce: (text, severity) => vehicle?.announce('logs', text, severity),
    ...tools,
  })
  student.onRolledBack(() => logs.rolledBack())
  const all = { ...parts, board, controls, vehicle, logs }
  const status: StatusModule = new StatusModule(config, all, tools)
  const report = new ReportModule(all, tools)
  // Stopped in reverse: frames end, the last segment leaves, the summary is written, the link says goodbye.
  const modules = [
    status,
    student,
    camera,
    logs,
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
