import { type Clock, type Log, messageOf, UserError } from '@kestrel/runtime'
import type { GroundConfig } from '../service/config.js'
import type { GroundStation } from '../service/ground-station.js'
import type { StudentIdentity } from '../service/learner.js'
import type { GroundObserver } from '../service/observer.js'
import { DashboardServer } from './server.js'

/** The live dashboard: what the drones do, in a browser, and a few things to order them. A module of the ground station. */
export class Dashboard {
  readonly observer: GroundObserver = {}
  readonly #server: DashboardServer
  readonly #log: Log

  constructor(options: {
    config: Pick<GroundConfig, 'dashboard' | 'uplinkKbps' | 'scores'>
    student: StudentIdentity
    station: GroundStation
    clock: Clock
    log: Log
  }) {
    const { config, log } = options
    this.#log = log
    this.#server = new DashboardServer({ ...config.dashboard, routes: [], log })
  }

  /** Where it is; undefined where it could not be started. */
  get url(): string | undefined {
    return this.#server.url
  }

  /** A port that is taken is no reason not to fly: it is said. @throws UserError where the settings cannot be right */
  async start(): Promise<void> {
    try {
      await this.#server.start()
      this.#log.info(`Dashboard: ${this.#server.url}`)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.#log.error(`No dashboard: ${messageOf(error)}`)
    }
  }

  async stop(): Promise<void> {
    await this.#server.stop()
  }
}
