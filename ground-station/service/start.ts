import { connectMqtt } from '@kestrel/link'
import { Incidents, type Log, observeLog, RealClock, UserError } from '@kestrel/runtime'
import type { Hono } from 'hono'
import { startBroker } from '../broker/broker.js'
import { joinCluster } from '../cluster/join.js'
import { openAccess } from '../dashboard/access.js'
import { Dashboard } from '../dashboard/dashboard.js'
import { FlightLibrary, mountReview } from '../review/index.js'
import { readAuth } from '../security/broker-auth.js'
import { openSecurity } from '../security/security.js'
import { type GroundConfig, logDir } from './config.js'
import { FlightRecorder } from './flight-recorder.js'
import { GroundStation } from './ground-station.js'
import { startLearnerThread } from './learner-thread.js'
import type { GroundObserver } from './observer.js'

/** A ground station that runs. */
export interface RunningGround {
  /** Where drones connect. */
  brokerUrl: string
  /** What was tried and not allowed, and messages of no use, by kind. */
  readonly refused: Record<string, number>
  /** Where the dashboard is; undefined where there is none. */
  dashboardUrl: string | undefined
  /** Saves everything and releases it; a second call waits for the first. */
  stop(): Promise<void>
}

/**
 * Starts the learner, the broker and the link, in that order.
 *
 * @param options.onLost called where the learner ends by itself: nothing can go on then
 * @throws UserError where a file or setting cannot be used
 */
export async function startGround(options: {
  config: GroundConfig
  log: Log
  onLost: (error: Error) => void
}): Promise<RunningGround> {
  const { config, onLost } = options
  if (config.cluster !== undefined && config.broker === undefined) {
    throw new UserError(
      '"cluster" needs "broker", the MQTT broker that all of the cluster share, such as the MQTT port of the NATS server',
    )
  }
  const clock = new RealClock()
  const looking: GroundObserver[] = []
  const log = observeLog(
    options.log,
    line => {
      for (const observer of looking) observer.line?.({ timeMs: clock.nowMs(), ...line })
    },
    'ground',
  )
  const { identity, registry, signer, certificate } = await openSecurity(config, clock)
  const incidents = new Incidents({ log, clock })
  const auth = readAuth(config.brokerAuth)
  // What was opened last is closed first, at the end as where the start fails.
  const closers: (() => Promise<unknown>)[] = []
  const closing = <T>(opened: T, close: (opened: T) => Promise<unknown>): T => {
    closers.unshift(() => close(opened))
    return opened
  }
  const close = async () => {
    for (const one of closers) await one()
  }
  try {
    const learner = closing(await startLearnerThread({ config, log, onLost }), one => one.close())
    const { student } = learner
    const { host, port } = config.listen
    const listen = { host, port, registry, certificate, incidents, log: log.child('broker'), clock }
    const broker =
      config.broker === undefined ? closing(await startBroker(listen), one => one.close()) : undefined
    const brokerUrl = config.broker ?? broker!.url
    const { cluster } = config
    const own = cluster === undefined ? 'kestrel/ground' : `kestrel/ground/${cluster.name}`
    const way = broker?.ground ?? { url: brokerUrl, clientId: own, auth }
    const link = { ...way, clean: cluster !== undefined, log: log.child('link') }
    const connection = closing(connectMqtt(link), one => one.close())
    if (config.logs.enabled) {
      const files = { config, dir: logDir(config), student, clock, log }
      const recorder = closing(new FlightRecorder(files), one => one.stop())
      looking.push(recorder.observer)
      recorder.start()
    }
    const membership =
      cluster &&
      joinCluster({
        config: cluster,
        numbers: signer,
        onChange: (drone, held) => station.own(drone, held),
        clock,
        log,
      })
    if (membership !== undefined) closing(membership, one => one.stop())
    const { uplinkKbps, fleet } = config
    const station: GroundStation = closing(
      new GroundStation({
        connection,
        learner,
        signer,
        ownership: membership?.leases,
        clock,
        uplinkKbps,
        fleet,
        incidents,
        observers: looking,
        log,
      }),
      one => one.stop(),
    )
    let dashboard: Dashboard | undefined
    if (config.dashboard.enabled) {
      const access = await openAccess(config, { identity, incidents })
      const options = { students: [config.student], mayBeAbsent: true }
      const flights = closing(new FlightLibrary(logDir(config), options), one => one.close())
      const routes = [(app: Hono) => mountReview(app, flights)]
      dashboard = closing(new Dashboard({ config, student, station, routes, clock, access, log }), one =>
        one.stop(),
      )
      looking.push(dashboard.observer)
      await dashboard.start()
    }
    station.start()
    membership?.start()
    const where = broker === undefined ? brokerUrl : `${broker.host}:${broker.port}`
    log.info(`Teaching ${student.source} (${student.classes.join(', ')}); drones connect to ${where}`)
    if (certificate !== undefined) log.info(pairedLine(registry.list().map(({ drone }) => drone)))
    let stopped: Promise<void> | undefined
    return {
      brokerUrl,
      dashboardUrl: dashboard?.url,
      get refused() {
        return station.refused
      },
      stop: () => (stopped ??= close()),
    }
  } catch (error) {
    await close()
    throw error
  }
}

function pairedLine(drones: string[]): string {
  return drones.length === 0
    ? 'No drone is paired yet, so none can connect: kestrel-ground pair NAME'
    : `Paired drones: ${drones.join(', ')}`
}
