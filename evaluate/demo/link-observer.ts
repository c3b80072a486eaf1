import {
  type Connection,
  connectMqtt,
  decodeEnvelope,
  everyDrone,
  MessageRefused,
  parseTopic,
  type What,
} from '@kestrel/link'
import { silentLog } from '@kestrel/runtime'

/** Which way each kind of message goes. */
const directions: Record<What, 'up' | 'down'> = {
  status: 'up',
  telemetry: 'up',
  segment: 'up',
  'update-result': 'up',
  resync: 'up',
  'command-result': 'up',
  update: 'down',
  receipt: 'down',
  command: 'down',
  control: 'down',
}

/** What a third party hears on the link between drone and ground. */
export class LinkObserver {
  bytes = { up: 0, down: 0 }
  updatesApplied = 0
  updatesRefused = 0
  lastUpdateBytes = 0
  modelVersion = 0
  fps = 0
  latencyP50Ms = 0
  framesDropped = 0
  samplingFps = 0
  online = false
  /** When the first update flew, ms of the process's clock. */
  firstAppliedMs: number | undefined
  readonly #connection: Connection
  readonly #onApplied: (version: number) => void
  #segmentBytes = 0

  constructor(options: { url: string; onApplied: (version: number) => void }) {
    this.#onApplied = options.onApplied
    this.#connection = connectMqtt({
      url: options.url,
      clientId: 'demo-observer',
      log: silentLog,
      retryMs: { min: 100, max: 500 },
    })
    for (const what of Object.keys(directions) as What[]) {
      this.#connection.subscribe(everyDrone(what), (topic, bytes) => this.#take(topic, bytes)).catch(() => {})
    }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #take(topic: string, bytes: Uint8Array): void {
    const what = parseTopic(topic)?.what
    if (what === undefined) return
    this.bytes[directions[what]] += bytes.length
    try {
      this.#read(decodeEnvelope(bytes).payload)
    } catch (error) {
      if (!(error instanceof MessageRefused)) throw error
    }
  }

  #read(payload: ReturnType<typeof decodeEnvelope>['payload']): void {
    switch (payload.case) {
      case 'telemetry': {
        const { fps, latencyP50Ms, framesDropped, samplingFps, modelVersion } = payload.value
        Object.assign(this, {
          fps,
          latencyP50Ms,
          framesDropped: Number(framesDropped),
          samplingFps,
          modelVersion,
        })
        return
      }
      case 'update':
        this.#segmentBytes = (payload.value.part === 0 ? 0 : this.#segmentBytes) + payload.value.data.length
        this.lastUpdateBytes = this.#segmentBytes
        return
      case 'updateResult':
        if (!payload.value.applied) {
          this.updatesRefused++
          return
        }
        this.updatesApplied++
        this.firstAppliedMs ??= performance.now()
        this.modelVersion = payload.value.modelVersion
        this.#onApplied(payload.value.modelVersion)
        return
      case 'status':
        this.online = payload.value.online
        this.modelVersion = payload.value.modelVersion
    }
  }
}
