import type { Neighbour, Received } from '@kestrel/link/mavlink'
import { type Clock, UserError } from '@kestrel/runtime'
import { common, minimal, standard } from 'mavlink-mappings'
import { AutopilotWatch } from '../autopilot-watch.js'
import { encodingOf, type Firmware, identify } from './firmware.js'
import type { ParameterLink } from './link.js'
import type { Encoding } from './value.js'
import { until } from './wait.js'

const { MavAutopilot, MavComponent, MavState, MavType } = minimal

/** One that has said nothing for this long is gone. */
const SILENT_MS = 5000
/** HEARTBEAT, which tells whether it is armed, comes each second; some of them may be lost. */
const NO_HEARTBEAT_MS = 10_000
const HEARTBEAT_MS = 1000

/** How often, and for how long each time, AUTOPILOT_VERSION is asked for. */
const VERSION_WAITS_MS = [300, 600, 1000, 1000]

/** The autopilot at the other end: who it is, what it speaks and, as heard last, whether it is armed. */
export class Autopilot {
  readonly #link: ParameterLink
  readonly #clock: Clock
  readonly #closed = new AbortController()
  readonly #watch: AutopilotWatch
  #heartbeat: minimal.Heartbeat | undefined
  #version: standard.AutopilotVersion | undefined
  #heardMs = Number.NEGATIVE_INFINITY
  #heartbeatMs = Number.NEGATIVE_INFINITY
  #wake = () => {}

  /** @param options.system the only one that is listened to; the first one heard without it */
  constructor(link: ParameterLink, { clock, system }: { clock: Clock; system?: number }) {
    this.#link = link
    this.#clock = clock
    this.#watch = new AutopilotWatch({ system })
    link.onMessage((received, from) => this.#hear(received, from))
  }

  get address(): { system: number; component: number } {
    return { system: this.#watch.followed!.system, component: MavComponent.AUTOPILOT1 }
  }

  get firmware(): Firmware {
    return identify(this.#heartbeat!, this.#version?.flightSwVersion)
  }

  get encoding(): Encoding {
    const { capabilities } = this.#version ?? {}
    return encodingOf(
      this.#heartbeat!.autopilot,
      capabilities === undefined ? undefined : BigInt(capabilities),
    )
  }

  /** As its last HEARTBEAT said. */
  get armed(): boolean {
    return this.#watch.followed!.armed
  }

  /** Whether it was heard lately: one that is silent may have been armed since. */
  get present(): boolean {
    const nowMs = this.#clock.nowMs()
    return nowMs - this.#heardMs < SILENT_MS && nowMs - this.#heartbeatMs < NO_HEARTBEAT_MS
  }

  /**
   * Waits for an autopilot and asks what it is. From then on a HEARTBEAT of ours goes out each second: routers send only to those that
   * they have heard.
   *
   * @throws UserError where none is heard for `timeoutMs`
   */
  async find(timeoutMs: number, where: string): Promise<void> {
    void this.#beat()
    await this.#until(() => this.#heartbeat !== undefined, timeoutMs)
    if (this.#heartbeat === undefined) {
      throw new UserError(
        `No autopilot is heard on ${where}, in ${timeoutMs / 1000} s: is it powered, TX wired to RX and RX to TX, is the baud rate the same on both sides, and does no other program (kestrel-agent run, mavlink-router) have the device? firmware-config/README.md has the wiring`,
      )
    }
    for (const waitMs of VERSION_WAITS_MS) {
      this.#askVersion()
      await this.#until(() => this.#version !== undefined, waitMs)
      if (this.#version !== undefined) return
    }
  }

  close(): void {
    this.#closed.abort()
  }

  #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    return until(condition, timeoutMs, this.#clock, wake => {
      this.#wake = wake
    })
  }

  #hear({ from, data }: Received, neighbour: Neighbour): void {
    const nowMs = this.#clock.nowMs()
    const isHeartbeat = data instanceof minimal.Heartbeat
    if (isHeartbeat) this.#watch.heard(from, data, neighbour, nowMs)
    if (!this.#watch.isFrom(from)) return
    this.#heardMs = nowMs
    if (isHeartbeat) {
      if (this.#heartbeat === undefined) this.#link.join(from.system)
      this.#heartbeat = data
      this.#heartbeatMs = nowMs
    }
    if (data instanceof standard.AutopilotVersion) this.#version = data
    this.#wake()
  }

  /** MAV_CMD_REQUEST_MESSAGE (512). */
  #askVersion(): void {
    this.#link.send(
      Object.assign(new common.CommandLong(), {
        command: common.MavCmd.REQUEST_MESSAGE,
        confirmation: 0,
        _param1: standard.AutopilotVersion.MSG_ID,
        targetSystem: this.address.system,
        targetComponent: this.address.component,
      }),
    )
  }

  async #beat(): Promise<void> {
    const { signal } = this.#closed
    const heartbeat = Object.assign(new minimal.Heartbeat(), {
      type: MavType.ONBOARD_CONTROLLER,
      autopilot: MavAutopilot.INVALID,
      baseMode: 0,
      customMode: 0,
      systemStatus: MavState.ACTIVE,
      mavlinkVersion: 3,
    })
    while (!signal.aborted) {
      this.#link.send(heartbeat)
      await this.#clock.sleep(HEARTBEAT_MS, signal)
    }
  }
}
