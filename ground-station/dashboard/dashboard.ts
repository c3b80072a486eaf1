import { type Clock, type Log, messageOf, UserError } from '@kestrel/runtime'
import type { GroundConfig } from '../service/config.js'
import type { GroundStation } from '../service/ground-station.js'
import type { StudentIdentity } from '../service/learner.js'
import type { GroundObserver } from '../service/observer.js'
import type { DashboardAccess } from './access.js'
import { DashboardServer } from './server.js'

/** The live dashboard: what the drones do, in a browser, and a few things to order them. A module of the ground station. */
export class Dashboard {
  readonly observer: GroundObserver = {}
  readonly #server: DashboardServer
  readonly #log: Log
  readonly #locked: boolean

  constructor(options: {
    config: Pick<GroundConfig, 'dashboard' | 'uplinkKbps' | 'scores'>
    student: StudentIdentity
    station: GroundStation
    clock: Clock
    /** Where the page needs its token. */
    access?: DashboardAccess
    log: Log
  }) {
    const { config, access, log } = options
    this.#log = log
    this.#locked = access !== undefined
    this.#server = new DashboardServer({
      ...config.dashboard,
      routes: access === undefined ? [] : [access.token.routes],
      authorize: access?.token.authorize,
      certificate: access?.certificate,
      log,
    })
  }

  /** Where it is; undefined where it could not be started. */
  get url(): string | undefined {
    return this.#server.url
  }

  /** A port that is taken is no reason not to fly: it is said. @throws UserError where the settings cannot be right */
  async start(): Promise<void> {
    try {
      await this.#server.start()
      const how = this.#locked ? ' (kestrel-ground dashboard prints the address that opens it)' : ''
      this.#log.info(`Dashboard: ${this.#server.url}${how}`)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.#log.error(`No dashboard: ${messageOf(error)}`)
    }
  }

  async stop(): Promise<void> {
    await this.#server.stop()
  }
}
