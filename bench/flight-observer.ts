import { monitorEventLoopDelay } from 'node:perf_hooks'
import { connectMqtt, decodeEnvelope, everyDrone, type Telemetry } from '@kestrel/link'
import { silentLog } from '@kestrel/runtime'

/** What is seen of the agent from outside, from `begin` on; times of `performance.now()`. */
export interface Observed {
  beatsMs: number[]
  telemetry: { atMs: number; value: Telemetry }[]
  swapsMs: number[]
  refused: number
  sampled: number
  sampledWithPose: number
  /** By how much whoever watches was late himself, at worst, ms: heartbeats cannot be told apart by less. */
  watcherLateMs: number
}

/** Hears the agent's messages at the broker, and notes what a flight is judged by. */
export class FlightObserver {
  readonly #connection: ReturnType<typeof connectMqtt>
  readonly #delay = monitorEventLoopDelay({ resolution: 5 })
  #observed: Observed = empty()

  constructor(url: string) {
    this.#connection = connectMqtt({
      url,
      clientId: 'bench-observer',
      log: silentLog,
      retryMs: { min: 100, max: 500 },
    })
    for (const what of ['telemetry', 'update-result', 'segment'] as const) {
      this.#connection.subscribe(everyDrone(what), (_, bytes) => this.#take(bytes)).catch(() => {})
    }
  }

  get latest(): Telemetry | undefined {
    return this.#observed.telemetry.at(-1)?.value
  }

  /** What came before is not judged. */
  begin(): void {
    const telemetry = this.#observed.telemetry.slice(-1)
    this.#observed = { ...empty(), telemetry }
    this.#delay.enable()
  }

  beat(): void {
    this.#observed.beatsMs.push(performance.now())
  }

  /** @returns what was seen since `begin` */
  async end(): Promise<Observed> {
    this.#delay.disable()
    await this.#connection.close()
    return { ...this.#observed, watcherLateMs: Math.max(0, this.#delay.max / 1e6 - 5) }
  }

  #take(bytes: Uint8Array): void {
    const { payload } = decodeEnvelope(bytes)
    const atMs = performance.now()
    const observed = this.#observed
    if (payload.case === 'telemetry') observed.telemetry.push({ atMs, value: payload.value })
    else if (payload.case === 'updateResult') {
      if (payload.value.applied) observed.swapsMs.push(atMs)
      else observed.refused += 1
    } else if (payload.case === 'segment') {
      const { frames } = payload.value
      observed.sampled += frames.length
      observed.sampledWithPose += frames.filter(
        ({ pose }) => pose?.positioned && pose.yawRad !== undefined,
      ).length
    }
  }
}

function empty(): Observed {
  return {
    beatsMs: [],
    telemetry: [],
    swapsMs: [],
    refused: 0,
    sampled: 0,
    sampledWithPose: 0,
    watcherLateMs: 0,
  }
}
