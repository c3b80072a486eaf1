import { join } from 'node:path'
import type { PoseInit, VehicleInit } from '@kestrel/link'
import { loadSigningKey, openEndpoint, Persistent, parseEndpoint, Signing } from '@kestrel/link/mavlink'
import type { Clock, Log } from '@kestrel/runtime'
import { common } from 'mavlink-mappings'
import type { Frame } from '../camera/camera.js'
import type { Autopilot } from '../vehicle/autopilot-watch.js'
import type { BoardReadings } from '../vehicle/board.js'
import { LearningTriggers } from '../vehicle/learning-triggers.js'
import { poseMessage, vehicleMessage } from '../vehicle/messages.js'
import type { PilotControls } from '../vehicle/pilot.js'
import { diskSigningStore } from '../vehicle/signing-store.js'
import { Vehicle } from '../vehicle/vehicle.js'
import type { CameraModule } from './camera-module.js'
import type { FlightModule } from './flight-module.js'
import type { LearningControls } from './learning-controls.js'
import type { LinkModule } from './link-module.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'
import type { UplinkModule } from './uplink-module.js'
import type { VehicleConfig } from './vehicle-config.js'

const { MavSeverity } = common
const GROUNDED = 'on the ground, disarmed'

/** Message number → Hz; those that are not about motion come slowly. */
const SLOW: [number, number][] = [
  [1, 1], // SYS_STATUS
  [2, 1], // SYSTEM_TIME
  [24, 1], // GPS_RAW_INT
  [74, 1], // VFR_HUD
  [245, 1], // EXTENDED_SYS_STATE
]
const ATTITUDE = 30
const GLOBAL_POSITION_INT = 33

export interface VehicleModuleOptions {
  student: StudentModule
  camera: CameraModule
  link: LinkModule
  uplink: UplinkModule
  flight: FlightModule
  stateDir: string
  board?: BoardReadings
  /** Told what the autopilot does and says, and every MAVLink frame. */
  onChange?: (autopilot: Autopilot | undefined) => void
  onText?: (text: string, severity: common.MavSeverity) => void
  onFrame?: (frame: Uint8Array) => void
  controls: LearningControls
  clock: Clock
  log: Log
}

/** The autopilot: tags frames, steers the sampling, and lets the pilot steer the learning. */
export class VehicleModule implements Module {
  readonly name = 'vehicle'
  readonly #config: VehicleConfig
  readonly #options: VehicleModuleOptions
  readonly #log: Log
  readonly #triggers: LearningTriggers
  readonly #stopped = new AbortController()
  #vehicle: Vehicle | undefined
  #signing: Signing | undefined
  #reporting: Promise<void> | undefined
  #pauseOnGround: boolean
  #saidRefused = false
  #frames = { seen: 0, tagged: 0 }

  constructor(config: VehicleConfig, options: VehicleModuleOptions) {
    this.#config = config
    this.#options = options
    this.#log = options.log.child('vehicle')
    this.#triggers = new LearningTriggers(config)
    this.#pauseOnGround = config.pauseOnGround
  }

  /** Frames so far, and those of them whose position and attitude were known when they came. */
  get frames(): { seen: number; tagged: number } {
    return this.#frames
  }

  /** Does not wait for the autopilot. @throws UserError where the signing key cannot be used */
  async start(): Promise<void> {
    const { clock, stateDir, camera, board } = this.#options
    const { signingKey, signingLink: linkId, system, attitudeHz, positionHz, reportS } = this.#config
    if (signingKey !== undefined) {
      const store = diskSigningStore(join(stateDir, 'mavlink-signing'), this.#log)
      this.#signing = new Signing({ key: loadSigningKey(signingKey), linkId, clock, store })
    }
    const vehicle = new Vehicle({
      transport: this.#transport(),
      signing: this.#signing,
      system,
      rates: new Map([...SLOW, [ATTITUDE, attitudeHz], [GLOBAL_POSITION_INT, positionHz]]),
      controls: this.#controls(),
      camera: this.#config.camera ? camera.camera : undefined,
      board,
      reportMs: reportS * 1000,
      onNews: () => this.#news(),
      onText: this.#options.onText,
      onFrame: this.#options.onFrame,
      onRadio: radio => {
        if (this.#config.radioBoundsUplink) this.#options.uplink.budget.radio(radio, clock.nowMs())
      },
      clock,
      log: this.#log,
    })
    this.#vehicle = vehicle
    this.#log.info(`Waiting for the autopilot on ${this.#config.endpoint}`)
    vehicle.assume('learning', 'learning resumed')
    this.#options.controls.onLearning(on =>
      vehicle.announce('learning', on ? 'learning resumed' : 'learning paused'),
    )
    await vehicle.start()
    this.#reporting = this.#report(vehicle)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#reporting
    await this.#vehicle?.stop()
    this.#signing?.stop()
  }

  /** A number for the pilot (NAMED_VALUE_FLOAT), sent with the next report. @param name at most 10 characters */
  namedValue(name: string, value: number): void {
    this.#vehicle?.namedValue(name, value)
  }

  /** Where the vehicle was. @param timeMs our clock */
  poseAt(timeMs: number): PoseInit | undefined {
    const pose = this.#vehicle?.poseAt(timeMs)
    return pose && poseMessage(pose)
  }

  /** Every frame passes here. */
  see({ captureMs }: Frame): void {
    const pose = this.#vehicle?.poseAt(captureMs)
    this.#frames.seen += 1
    if (pose?.position !== undefined && pose.attitude !== undefined) this.#frames.tagged += 1
  }

  /** What holds from now on in a matter, for the pilot's screen (STATUSTEXT where it is something else than before). */
  announce(matter: string, text: string, severity: common.MavSeverity): void {
    this.#vehicle?.announce(matter, text, severity)
  }

  /** For the ground. */
  telemetry(): VehicleInit | undefined {
    const vehicle = this.#vehicle
    if (vehicle === undefined) return undefined
    const refused = Object.values(this.#signing?.refused ?? {}).reduce((sum, count) => sum + count, 0)
    return vehicleMessage(vehicle, this.#options.clock.nowMs(), { refused, ...this.#frames })
  }

  /** Opened for ever; an outage is said once. */
  #transport(): Persistent {
    const { clock } = this.#options
    const endpoint = parseEndpoint(this.#config.endpoint)
    let said: string | undefined
    return new Persistent(() => openEndpoint(endpoint, clock), {
      clock,
      seed: this.#config.endpoint,
      onOpen: () => {
        if (said !== undefined) this.#log.info(`${this.#config.endpoint} is open now`)
        said = undefined
      },
      onFailure: reason => {
        if (reason !== said) this.#log.warn(`${reason}. Trying on; the flight goes on without it`)
        said = reason
      },
    })
  }

  #controls(): PilotControls {
    const { learning, samplingLimits, rollBack, checkpoint } = this.#options.controls
    return {
      learning,
      samplingLimits,
      pauseOnGround: {
        get: () => this.#pauseOnGround,
        set: on => {
          this.#pauseOnGround = on
          this.#news()
        },
      },
      rollBack,
      checkpoint,
    }
  }

  #news(): void {
    const vehicle = this.#vehicle
    if (vehicle === undefined) return
    const { uplink } = this.#options
    const { hasten, grounded } = this.#triggers.news(vehicle.autopilot, vehicle.state)
    this.#options.onChange?.(vehicle.autopilot)
    uplink.hold(GROUNDED, grounded && this.#pauseOnGround)
    if (hasten) uplink.hasten()
  }

  async #report(vehicle: Vehicle): Promise<void> {
    const { clock, flight, student, uplink, link } = this.#options
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await clock.sleep(this.#config.reportS * 1000, signal)
      if (signal.aborted) return
      const { fps, p50Ms } = flight.summary()
      vehicle.namedValue('KES_FPS', fps)
      vehicle.namedValue('KES_LAT_MS', p50Ms)
      vehicle.namedValue('KES_MODEL', student.applier.version)
      vehicle.namedValue('KES_SAMPLE', uplink.held ? 0 : uplink.samplingFps)
      vehicle.namedValue('KES_QUEUE', uplink.waiting)
      const severity = link.up ? MavSeverity.NOTICE : MavSeverity.WARNING
      vehicle.announce('link', link.up ? 'ground link up' : 'ground link down, flying on', severity)
      this.#sayRefused()
    }
  }

  /** Once: a wrong key refuses everything, again and again. */
  #sayRefused(): void {
    const { unsigned, wrongSignature, old } = this.#signing?.refused ?? {
      unsigned: 0,
      wrongSignature: 0,
      old: 0,
    }
    if (this.#saidRefused || unsigned + wrongSignature + old === 0) return
    this.#saidRefused = true
    this.#log.warn(
      `MAVLink messages are refused (${unsigned} unsigned, ${wrongSignature} with a wrong signature, ${old} with an old time): is the key in ${this.#config.signingKey} the autopilot's, and is signing on there?`,
    )
  }
}
