import { randomBytes } from 'node:crypto'
import type { Clock, Log } from '@kestrel/runtime'
import type { ClusterConfig } from './config.js'
import type { Instant } from './lease.js'
import { Leases, type Numbers } from './leases.js'
import { NatsLeases } from './nats-leases.js'

/** Leases are looked at so many times in a TTL. */
const TICKS = 32

/** This process among those of its cluster. */
export interface Membership {
  /** Names this process. */
  self: string
  leases: Leases
  start(): void
  /** Gives every drone back; to be called when nothing is taught any more, and everything saved. */
  stop(): Promise<void>
}

/**
 * Joins a cluster. Does not wait for its server: that may be away.
 *
 * @param options.numbers of the signatures
 * @param options.onChange as in `Leases`
 */
export function joinCluster(options: {
  config: ClusterConfig
  numbers: Numbers
  onChange: (drone: string, held: boolean) => Promise<void> | void
  clock: Clock
  log: Log
}): Membership {
  const { config, numbers, onChange, clock } = options
  const log = options.log.child('cluster')
  const self = `${config.name}.${randomBytes(6).toString('hex')}`
  const store = new NatsLeases(config)
  const ttlMs = 1000 * config.ttlS
  const leases = new Leases({ self, ttlMs, store, numbers, now, onChange, log })
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  const run = async () => {
    while (!stopping.signal.aborted) {
      leases.tick()
      await clock.sleep(ttlMs / TICKS, stopping.signal)
    }
  }
  return {
    self,
    leases,
    start() {
      log.info(`${config.name} of a cluster over ${config.servers.join(', ')}`)
      leases.start()
      running = run()
    },
    async stop() {
      stopping.abort()
      await running
      await leases.stop()
      await store.close()
    },
  }
}

/** Both clocks of the machine: the clock of the house is the first of them only. */
function now(): Instant {
  return { monotonicMs: performance.now(), wallMs: Date.now() }
}
