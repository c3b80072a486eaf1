import { NatsLeases } from '@kestrel/ground-station'
import { connectMqtt, decodeEnvelope, everyDrone, MessageRefused, parseTopic } from '@kestrel/link'
import { silentLog } from '@kestrel/runtime'

/** Tells who teaches each drone, and what it flies, as a third party sees it. */
export class ClusterWatch {
  readonly #owners = new Map<string, string>()
  readonly #leases: NatsLeases
  readonly #connection: ReturnType<typeof connectMqtt>

  /** @param options.say takes a line for people */
  constructor(options: { natsUrl: string; brokerUrl: string; say: (line: string) => void }) {
    const { natsUrl, brokerUrl, say } = options
    this.#leases = new NatsLeases({ name: 'watch', servers: [natsUrl], ttlS: 8, replicas: 1 })
    this.#leases.watch({
      change: (key, { value }) => {
        const drone = key.replace(/^drone\./, '')
        // Names of processes are that of the trainer and a number of their own.
        const [owner] = (JSON.parse(value ?? '{"owner":""}') as { owner: string }).owner.split('.')
        const before = this.#owners.get(drone) ?? ''
        if (owner === before) return
        this.#owners.set(drone, owner)
        say(owner === '' ? `${drone} is given away by ${before}` : `${drone} is taught by ${owner}`)
      },
      announced: () => {},
    })
    this.#connection = connectMqtt({ url: brokerUrl, clientId: 'cluster-watch', clean: true, log: silentLog })
    this.#connection
      .subscribe(everyDrone('update-result'), (topic, bytes) => {
        const drone = parseTopic(topic)?.drone ?? ''
        try {
          const { payload } = decodeEnvelope(bytes)
          if (payload.case !== 'updateResult') return
          const { applied, version, reason } = payload.value
          say(
            applied
              ? `${drone} flies version ${version}, from ${this.owner(drone)}`
              : `${drone} refused ${version}: ${reason}`,
          )
        } catch (error) {
          if (!(error instanceof MessageRefused)) throw error
        }
      })
      .catch(() => {})
  }

  /** Who teaches a drone; empty: nobody. */
  owner(drone: string): string {
    return this.#owners.get(drone) ?? ''
  }

  async close(): Promise<void> {
    await this.#connection.close()
    await this.#leases.close()
  }
}
