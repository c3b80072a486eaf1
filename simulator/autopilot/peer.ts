import { encode, FrameReader } from '@kestrel/link/mavlink'
import type { MavLinkData } from 'mavlink-mappings'
import { autopilotAddress } from './address.js'
import { answer } from './answers.js'
import { Schedule } from './schedule.js'
import { telemetry } from './telemetry.js'
import type { Vehicle } from './vehicle.js'

/** Parameters are listed at this pace, so that a slow link is not flooded: one every so many ms. */
const parameterEveryMs = 10

/** One connection: its own sequence numbers, message rates and half-received frames. */
export class Peer {
  readonly vehicle: Vehicle
  readonly schedule: Schedule
  readonly #write: (frame: Buffer) => void
  readonly #changed: () => void
  readonly #reader = new FrameReader()
  #sequence = 0
  /** Index of the parameter that is to be listed next, and when. */
  #listing: { index: number; dueMs: number } | undefined

  /**
   * @param write sends one frame; what cannot be sent is its loss to count
   * @param changed is called when something may be due earlier than before
   */
  constructor(vehicle: Vehicle, write: (frame: Buffer) => void, changed: () => void) {
    this.vehicle = vehicle
    this.schedule = new Schedule(vehicle.parameters, vehicle.now().unixMs)
    this.#write = write
    this.#changed = changed
  }

  send(data: MavLinkData) {
    this.#write(encode(data, this.#sequence, autopilotAddress))
    this.#sequence = (this.#sequence + 1) & 0xff
  }

  /** Takes bytes as they come, answers what they ask. */
  receive(bytes: Uint8Array) {
    for (const { from, data } of this.#reader.read(bytes)) answer(this, data, from)
    this.#changed()
  }

  listParameters() {
    this.#listing = { index: 0, dueMs: this.vehicle.now().unixMs }
  }

  nextMs(): number {
    return Math.min(this.schedule.nextMs(), this.#listing?.dueMs ?? Number.POSITIVE_INFINITY)
  }

  sendDue() {
    const snapshot = this.vehicle.now()
    for (const id of this.schedule.take(snapshot.unixMs)) this.send(telemetry.get(id)!.make(snapshot))
    while (this.#listing !== undefined && this.#listing.dueMs <= snapshot.unixMs) {
      const parameter = this.vehicle.parameters.at(this.#listing.index++)
      if (parameter === undefined) this.#listing = undefined
      else {
        this.send(this.vehicle.parameterValue(parameter))
        this.#listing.dueMs += parameterEveryMs
      }
    }
  }
}
