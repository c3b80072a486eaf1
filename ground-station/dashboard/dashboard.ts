import { defaultPalette } from '@kestrel/models'
import { type Clock, type Log, messageOf, UserError } from '@kestrel/runtime'
import type { GroundConfig } from '../service/config.js'
import type { GroundStation } from '../service/ground-station.js'
import type { StudentIdentity } from '../service/learner.js'
import type { GroundObserver } from '../service/observer.js'
import type { DashboardAccess } from './access.js'
import { HISTORY_ROWS } from './drone-live.js'
import { liveRoutes } from './live-routes.js'
import { LiveSocket } from './live-socket.js'
import { LiveState } from './live-state.js'
import { DashboardServer, type MountRoutes } from './server.js'
import type { Hello } from './wire.js'

/** The live dashboard: what the drones do, in a browser, and a few things to order them. A module of the ground station. */
export class Dashboard {
  readonly #state: LiveState
  readonly #socket: LiveSocket
  readonly #server: DashboardServer
  readonly #log: Log
  readonly #locked: boolean

  /** @param options.routes what other parts add, such as the review */
  constructor(options: {
    config: Pick<GroundConfig, 'dashboard' | 'uplinkKbps' | 'scores'>
    student: Pick<StudentIdentity, 'classes' | 'palette'>
    station: Pick<GroundStation, 'command'>
    routes?: MountRoutes[]
    clock: Clock
    /** Where the page needs its token. */
    access?: DashboardAccess
    log: Log
  }) {
    const { config, student, station, routes = [], access, clock, log } = options
    const { classes, palette = defaultPalette(classes.length) } = student
    const { dashboard, scores, uplinkKbps } = config
    this.#log = log
    this.#locked = access !== undefined
    this.#state = new LiveState(clock)
    const hello = (): Hello => ({
      kind: 'hello',
      nowMs: clock.nowMs(),
      ...{ classes, palette, scores, uplinkKbps, tiles: dashboard.tiles, historyS: HISTORY_ROWS },
    })
    this.#socket = new LiveSocket({ state: this.#state, hello, log })
    const live = liveRoutes({
      state: this.#state,
      command: (drone, order) => station.command(drone, order),
    })
    this.#server = new DashboardServer({
      ...dashboard,
      authorize: access?.token.authorize,
      certificate: access?.certificate,
      routes: [...(access === undefined ? [] : [access.token.routes]), live, ...routes],
      sockets: { '/api/live': this.#socket.upgrade },
      log,
    })
  }

  /** What it must hear to show anything. */
  get observer(): GroundObserver {
    return this.#state.observer
  }

  /** Where it is; undefined where it could not be started. */
  get url(): string | undefined {
    return this.#server.url
  }

  /** A port that is taken is no reason not to fly: it is said. */
  async start(): Promise<void> {
    try {
      await this.#server.start()
      this.#socket.start()
      const how = this.#locked ? ' (kestrel-ground dashboard prints the address that opens it)' : ''
      this.#log.info(`Dashboard: ${this.#server.url}${how}`)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      this.#log.error(`No dashboard: ${messageOf(error)}`)
    }
  }

  async stop(): Promise<void> {
    this.#socket.stop()
    await this.#server.stop()
  }
}
