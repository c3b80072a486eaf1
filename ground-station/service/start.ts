import { type Connection, connectMqtt } from '@kestrel/link'
import { Incidents, type Log, observeLog, RealClock, UserError } from '@kestrel/runtime'
import type { Hono } from 'hono'
import { type Broker, startBroker } from '../broker/broker.js'
import { joinCluster, type Membership } from '../cluster/join.js'
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
  const learner = await startLearnerThread({ config, log, onLost })
  let broker: Broker | undefined
  let connection: Connection | undefined
  let membership: Membership | undefined
  let station: GroundStation | undefined
  let dashboard: Dashboard | undefined
  let recorder: FlightRecorder | undefined
  let flights: FlightLibrary | undefined
  const close = async () => {
    await dashboard?.stop()
    await flights?.close()
    await (station === undefined ? learner.close() : station.stop())
    await membership?.stop()
    await recorder?.stop()
    await connection?.close()
    await broker?.close()
  }
  try {
    if (config.broker === undefined) {
      const { host, port } = config.listen
      broker = await startBroker({
        host,
        port,
        registry,
        certificate,
        incidents,
        log: log.child('broker'),
        clock,
      })
    }
    const brokerUrl = config.broker ?? broker!.url
    const { cluster } = config
    const own = cluster === undefined ? 'kestrel/ground' : `kestrel/ground/${cluster.name}`
    const way = broker?.ground ?? { url: brokerUrl, clientId: own, auth }
    connection = connectMqtt({ ...way, clean: cluster !== undefined, log: log.child('link') })
    membership =
      cluster &&
      joinCluster({
        config: cluster,
        numbers: signer,
        onChange: (drone, held) => running.own(drone, held),
        clock,
        log,
      })
    const { uplinkKbps, fleet } = config
    const running = new GroundStation({
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
    })
    station = running
    if (config.dashboard.enabled) {
      const access = await openAccess(config, { identity, incidents })
      const library = new FlightLibrary(logDir(config), { students: [config.student], mayBeAbsent: true })
      flights = library
      const routes = [(app: Hono) => mountReview(app, library)]
      dashboard = new Dashboard({
        config,
        student: learner.student,
        station: running,
        routes,
        clock,
        access,
        log,
      })
      looking.push(dashboard.observer)
      await dashboard.start()
    }
    if (config.logs.enabled) {
      recorder = new FlightRecorder({ config, dir: logDir(config), student: learner.student, clock, log })
      looking.push(recorder.observer)
      recorder.start()
    }
    running.start()
    membership?.start()
    const where = broker === undefined ? brokerUrl : `${broker.host}:${broker.port}`
    log.info(
      `Teaching ${learner.student.source} (${learner.student.classes.join(', ')}); drones connect to ${where}`,
    )
    if (certificate !== undefined) log.info(pairedLine(registry.list().map(({ drone }) => drone)))
    let stopped: Promise<void> | undefined
    return {
      brokerUrl,
      dashboardUrl: dashboard?.url,
      get refused() {
        return running.refused
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
