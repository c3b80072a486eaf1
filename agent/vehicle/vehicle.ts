import { Hub, type HubOptions, message, messageId, type Neighbour, type Sender } from '@kestrel/link/mavlink'
import type { Clock, Log } from '@kestrel/runtime'
import { common, type MavLinkData, minimal } from 'mavlink-mappings'
import { type Autopilot, AutopilotWatch } from './autopilot-watch.js'
import { type BoardReadings, onboardComputerStatus } from './board.js'
import { CAMERA_COMPONENT, type CameraFacts, cameraCommands } from './camera-component.js'
import { heartbeat } from './heartbeat.js'
import { MessageRates } from './message-rates.js'
import { NamedValues } from './named-values.js'
import { OwnCommands } from './own-commands.js'
import { OwnParameters } from './own-parameters.js'
import { type PilotControls, pilotCommands, pilotParameters } from './pilot.js'
import { Announcer, StatusTexts } from './status-text.js'
import type { Pose } from './track.js'
import { VehicleState } from './vehicle-state.js'

const { MavCmd, MavSeverity } = common
const { MavType } = minimal

/** Our own component, MAV_COMP_ID_ONBOARD_COMPUTER. */
const OWN_COMPONENT = minimal.MavComponent.ONBOARD_COMPUTER
/** The system of most vehicles; we speak as a part of it only to who has to be spoken to first. */
const USUAL_SYSTEM = 1
const HEARTBEAT_MS = 1000
const TICK_MS = 200

export interface VehicleOptions {
  transport: HubOptions['transport']
  signing?: HubOptions['signing']
  /** The only system that is followed. */
  system?: number
  /** Number of the message → Hz, asked of the autopilot. */
  rates: ReadonlyMap<number, number>
  controls: PilotControls
  /** Answers as a camera too. */
  camera?: CameraFacts
  board?: BoardReadings
  /** Between two ONBOARD_COMPUTER_STATUS, and two rounds of named values, ms. */
  reportMs: number
  /** Called after each message of the autopilot. */
  onNews?: () => void
  onRadio?: (radio: common.RadioStatus) => void
  /** Told every MAVLink frame, ours and the others'. */
  onFrame?: HubOptions['onFrame']
  /** A whole STATUSTEXT of the autopilot. */
  onText?: (text: string, severity: common.MavSeverity) => void
  clock: Clock
  log: Log
}

/** The autopilot, seen from its companion computer: what it says, what we ask of it, and what others ask of us (DESIGN.md section 7). */
export class Vehicle {
  readonly state = new VehicleState()
  readonly #options: VehicleOptions
  readonly #hub: Hub
  readonly #watch: AutopilotWatch
  readonly #rates: MessageRates
  readonly #values = new NamedValues()
  readonly #announcer: Announcer
  readonly #texts = new StatusTexts()
  readonly #parameters: OwnParameters
  readonly #commands: OwnCommands
  readonly #cameraCommands: OwnCommands | undefined
  readonly #stopped = new AbortController()
  #running: Promise<unknown> | undefined
  #startMs = 0
  #reportedMs = 0
  #flown = ''

  constructor(options: VehicleOptions) {
    const { transport, signing, rates, controls, camera, log } = options
    this.#options = options
    this.#hub = new Hub({
      transport,
      signing,
      onFrame: options.onFrame,
      onMessage: ({ from, data }, neighbour) => this.#take(from, data, neighbour),
      onClosed: neighbour => {
        const isLost = this.#watch.lineClosed(neighbour)
        if (isLost && !this.#stopped.signal.aborted) this.#lost(`${neighbour.name} was closed`)
      },
      log,
    })
    this.#watch = new AutopilotWatch({ system: options.system })
    this.#rates = new MessageRates(rates, (...ask) => this.#askForRate(...ask))
    this.#announcer = new Announcer(data => this.#send(data))
    this.#parameters = new OwnParameters(pilotParameters(controls))
    const say = (text: string) => this.#announcer.event(text, MavSeverity.NOTICE)
    this.#commands = new OwnCommands(pilotCommands(controls, say))
    const send = (data: MavLinkData) => this.#hub.send(data, this.#camera)
    if (camera !== undefined)
      this.#cameraCommands = new OwnCommands(cameraCommands(camera, send, () => this.#upMs))
  }

  /** Undefined while it is not heard. */
  get autopilot(): Autopilot | undefined {
    return this.#watch.present
  }

  get counts(): Hub['counts'] {
    return this.#hub.counts
  }

  /** @param timeMs our clock */
  poseAt(timeMs: number): Pose | undefined {
    return this.state.track.poseAt(timeMs)
  }

  /** Resolves at once where the transport is a persistent one: nobody waits for an autopilot. */
  async start(): Promise<void> {
    this.#startMs = this.#options.clock.nowMs()
    await this.#hub.start()
    this.#running = Promise.all([this.#beat(), this.#tick()])
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
    await this.#hub.stop()
  }

  /** A number for the pilot, under at most 10 characters; the newest is sent with the next round. */
  namedValue(name: string, value: number): void {
    this.#values.set(name, value)
  }

  /** What holds from now on in a matter such as `link`: a STATUSTEXT where it is something else than before. */
  announce(matter: string, text: string, severity: common.MavSeverity = MavSeverity.NOTICE): void {
    this.#announcer.state(matter, text, severity, this.#options.clock.nowMs())
  }

  /** The state in which everything begins is worth no STATUSTEXT. */
  assume(matter: string, text: string): void {
    this.#announcer.assume(matter, text)
  }

  get #self(): Sender {
    const system = this.#watch.followed?.system ?? this.#options.system ?? USUAL_SYSTEM
    return { system, component: OWN_COMPONENT }
  }

  get #camera(): Sender {
    return { ...this.#self, component: CAMERA_COMPONENT }
  }

  get #upMs(): number {
    return this.#options.clock.nowMs() - this.#startMs
  }

  /** To everybody; before the vehicle is known nobody has a use for what we say. */
  #send(data: MavLinkData): void {
    if (this.#watch.followed !== undefined) this.#hub.send(data, this.#self)
  }

  /** HEARTBEAT (#0) once a second, in step with the first one however late any of them was. */
  async #beat(): Promise<void> {
    const { clock, camera, system } = this.#options
    const { signal } = this.#stopped
    for (let dueMs = clock.nowMs(); !signal.aborted; ) {
      const isKnown = this.#watch.followed !== undefined || system !== undefined
      for (const neighbour of this.#hub.neighbours) {
        // A server over UDP learns of us only when we speak.
        if (!isKnown && neighbour.heard > 0) continue
        this.#hub.send(heartbeat(MavType.ONBOARD_CONTROLLER), this.#self, neighbour)
        if (isKnown && camera !== undefined)
          this.#hub.send(heartbeat(MavType.CAMERA), this.#camera, neighbour)
      }
      dueMs += HEARTBEAT_MS * Math.max(1, Math.ceil((clock.nowMs() - dueMs) / HEARTBEAT_MS))
      await clock.sleep(dueMs - clock.nowMs(), signal)
    }
  }

  async #tick(): Promise<void> {
    const { clock, reportMs } = this.#options
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const nowMs = clock.nowMs()
      if (this.#watch.check(nowMs)) this.#lost('no heartbeat for 5 s')
      this.#rates.tick(nowMs)
      if (this.#watch.followed !== undefined) this.#announcer.tick(nowMs)
      if (nowMs - this.#reportedMs >= reportMs) {
        this.#reportedMs = nowMs
        this.#report(nowMs)
      }
      await clock.sleep(TICK_MS, signal)
    }
  }

  #report(nowMs: number): void {
    const board = this.#options.board?.read()
    if (board !== undefined) this.#send(onboardComputerStatus(board, nowMs, this.#upMs))
    for (const value of this.#values.take(this.#upMs)) this.#send(value)
  }

  #take(from: Sender, data: MavLinkData, neighbour: Neighbour): void {
    const { clock, onRadio, onNews } = this.#options
    const nowMs = clock.nowMs()
    // Our own words, from a line that is wired back.
    if (from.system === this.#self.system && isOurs(from.component, this.#cameraCommands !== undefined))
      return
    if (data instanceof minimal.Heartbeat) this.#heartbeat(from, data, neighbour, nowMs)
    else if (data instanceof common.RadioStatus) onRadio?.(data)
    if (this.#watch.isFrom(from)) {
      const { reboots } = this.state.bootClock
      this.state.take(data, nowMs)
      if (this.state.bootClock.reboots !== reboots) this.#rebooted(nowMs)
      this.#rates.seen(messageId(data))
      if (data instanceof common.CommandAck) this.#acknowledged(data, nowMs)
      else if (data instanceof common.StatusText) {
        const text = this.#texts.add(data)
        if (text !== undefined) this.#options.onText?.(text, data.severity)
      }
      onNews?.()
    }
    this.#request(from, data, neighbour, nowMs)
  }

  #heartbeat(from: Sender, data: minimal.Heartbeat, neighbour: Neighbour, nowMs: number): void {
    const { log } = this.#options
    const found = this.#watch.heard(from, data, neighbour, nowMs)
    const { present } = this.#watch
    if (found && present !== undefined) {
      log.info(`The autopilot is there: ${present.kind}, system ${present.system}, over ${neighbour.name}`)
      this.#rates.restart(nowMs)
    }
    if (present === undefined || !this.#watch.isFrom(from)) return
    const flown = `${present.armed ? 'Armed' : 'Disarmed'}, mode ${present.mode}`
    if (flown !== this.#flown) log.info(flown)
    this.#flown = flown
  }

  #lost(why: string): void {
    this.#options.log.warn(`The autopilot is gone (${why}); waiting for it, the flight goes on`)
    this.#rates.pause()
    this.#flown = ''
    this.#options.onNews?.()
  }

  #rebooted(nowMs: number): void {
    this.#options.log.warn('The autopilot has started anew: asking for its messages again')
    this.#rates.restart(nowMs)
  }

  #askForRate(id: number, intervalUs: number, confirmation: number): void {
    const autopilot = this.#watch.present
    if (autopilot === undefined) return
    const command = message(common.CommandLong, {
      targetSystem: autopilot.system,
      targetComponent: minimal.MavComponent.AUTOPILOT1,
      command: MavCmd.SET_MESSAGE_INTERVAL,
      confirmation,
      _param1: id,
      _param2: intervalUs,
      _param3: 0,
      _param4: 0,
      _param5: 0,
      _param6: 0,
      _param7: 0,
    })
    this.#hub.send(command, this.#self, autopilot.neighbour)
  }

  #acknowledged({ command, result, targetSystem, targetComponent }: common.CommandAck, nowMs: number): void {
    if (command !== MavCmd.SET_MESSAGE_INTERVAL) return
    // Old firmware names nobody; what names another is for that one.
    const { system, component } = this.#self
    if (targetSystem !== 0 && targetSystem !== system) return
    if (targetComponent === 0 || targetComponent === component) this.#rates.acknowledged(result, nowMs)
  }

  /** What is asked of us, or of everybody. Messages without an address are no requests. */
  #request(from: Sender, data: MavLinkData, neighbour: Neighbour, nowMs: number): void {
    if (this.#watch.followed === undefined || !('targetSystem' in data)) return
    const { targetSystem, targetComponent = 0 } = data as { targetSystem: number; targetComponent?: number }
    const { system, component } = this.#self
    if (targetSystem !== 0 && targetSystem !== system) return
    const toUs = targetComponent === component
    if (toUs || targetComponent === 0) {
      for (const answer of this.#parameters.answer(data) ?? []) this.#send(answer)
      const reply = (ack: common.CommandAck) => this.#hub.send(ack, this.#self, neighbour)
      // Commands that are for whoever feels addressed are none for us.
      if (toUs) this.#commands.take(data, from, true, nowMs, reply)
    }
    const toCamera = targetComponent === CAMERA_COMPONENT
    if (toCamera || targetComponent === 0) {
      const reply = (ack: common.CommandAck) => this.#hub.send(ack, this.#camera, neighbour)
      this.#cameraCommands?.take(data, from, toCamera, nowMs, reply)
    }
  }
}

function isOurs(component: number, isCamera: boolean): boolean {
  return component === OWN_COMPONENT || (isCamera && component === CAMERA_COMPONENT)
}
