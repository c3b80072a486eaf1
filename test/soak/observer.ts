import {
  type Connection,
  connectMqtt,
  decodeEnvelope,
  everyDrone,
  MessageRefused,
  parseTopic,
  type What,
} from '@kestrel/link'
import { readUpdateHeader } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** What was heard of one drone. */
export class DroneRecord {
  applied = 0
  refused = 0
  version = 0
  lastAppliedMs = Number.NEGATIVE_INFINITY
  segments = 0
  /** The newest telemetry. */
  latencyP99Ms = 0
  frames = 0
  segmentsDropped = 0
  waiting = 0
  /** p99 of camera to label, ms, one a telemetry message. */
  readonly latencies: number[] = []
  /** Digests (hex) that updates of a version promise: after a ground station died, a version may be given twice. */
  readonly promised = new Map<number, Set<string>>()
}

/** A third party at the broker: what each drone does, and whether anything contradicts itself. */
export class SoakObserver {
  readonly drones = new Map<string, DroneRecord>()
  readonly faults: string[] = []
  readonly #connection: Connection
  readonly #seen = new Set<string>()
  readonly #parts = new Map<string, Uint8Array[]>()

  constructor(url: string) {
    this.#connection = connectMqtt({
      url,
      clientId: 'soak-observer',
      log: silentLog,
      retryMs: { min: 10, max: 100 },
    })
    for (const what of ['status', 'telemetry', 'segment', 'update', 'update-result'] as What[]) {
      this.#connection.subscribe(everyDrone(what), (topic, bytes) => this.#take(topic, bytes)).catch(() => {})
    }
  }

  drone(name: string): DroneRecord {
    const known = this.drones.get(name) ?? new DroneRecord()
    this.drones.set(name, known)
    return known
  }

  /** An older disk was put in: versions may begin again. */
  forget(name: string): void {
    this.drone(name).version = 0
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #take(topic: string, bytes: Uint8Array): void {
    const address = parseTopic(topic)
    if (address === undefined) return
    try {
      const { id, payload } = decodeEnvelope(bytes)
      const key = hex(id)
      if (this.#seen.has(key)) return
      this.#seen.add(key)
      if (this.#seen.size > 10_000) this.#seen.delete(this.#seen.values().next().value as string)
      this.#read(address.drone, this.drone(address.drone), payload)
    } catch (error) {
      if (!(error instanceof MessageRefused)) throw error
      this.faults.push(`${address.drone}: a ${address.what} message of no use: ${error.message}`)
    }
  }

  #read(name: string, drone: DroneRecord, payload: ReturnType<typeof decodeEnvelope>['payload']): void {
    switch (payload.case) {
      case 'telemetry': {
        const { latencyP99Ms, frames, segmentsDropped, outboxSegments } = payload.value
        Object.assign(drone, {
          latencyP99Ms,
          segmentsDropped: Number(segmentsDropped),
          waiting: outboxSegments,
        })
        if (Number(frames) > drone.frames && latencyP99Ms > 0) drone.latencies.push(latencyP99Ms)
        if (drone.latencies.length > 100_000) drone.latencies.shift()
        drone.frames = Number(frames)
        return
      }
      case 'segment':
        drone.segments++
        return
      case 'update': {
        const { version, part, parts, data } = payload.value
        const key = `${name}/${version}`
        const pieces = part === 0 ? [] : (this.#parts.get(key) ?? [])
        pieces[part] = data.slice()
        this.#parts.set(key, pieces)
        if (Object.keys(pieces).length < Math.max(1, parts)) return
        this.#parts.delete(key)
        const { resultDigest } = readUpdateHeader(Buffer.concat(pieces))
        drone.promised.set(version, (drone.promised.get(version) ?? new Set()).add(hex(resultDigest)))
        // The latest are those that may still be answered.
        for (const old of drone.promised.keys()) if (old < version - 100) drone.promised.delete(old)
        return
      }
      case 'updateResult': {
        const { applied, version, modelDigest } = payload.value
        if (!applied) {
          drone.refused++
          return
        }
        drone.applied++
        drone.lastAppliedMs = performance.now()
        this.#flies(name, drone, version, modelDigest)
        return
      }
      case 'status':
        if (payload.value.online)
          this.#flies(name, drone, payload.value.modelVersion, payload.value.modelDigest)
    }
  }

  /** A state that loads every time never goes back, and never flies what no update promised. */
  #flies(name: string, drone: DroneRecord, version: number, digest: Uint8Array): void {
    const promised = drone.promised.get(version)
    if (promised !== undefined && !promised.has(hex(digest))) {
      this.faults.push(`${name}: version ${version} has a digest that no update promised`)
    }
    if (version < drone.version) this.faults.push(`${name}: version ${version} flies after ${drone.version}`)
    drone.version = Math.max(drone.version, version)
  }
}
