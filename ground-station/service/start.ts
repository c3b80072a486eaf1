import { connectMqtt } from '@kestrel/link'
import { type Log, RealClock } from '@kestrel/runtime'
import { type Broker, startBroker } from '../broker/broker.js'
import { Dashboard } from '../dashboard/dashboard.js'
import type { GroundConfig } from './config.js'
import { GroundStation } from './ground-station.js'
import { startLearnerThread } from './learner-thread.js'
import type { GroundObserver } from './observer.js'
import { heardLog } from './observers.js'

/** A ground station that runs. */
export interface RunningGround {
  /** Where drones connect. */
  brokerUrl: string
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
  const clock = new RealClock()
  const looking: GroundObserver[] = []
  const log = heardLog(options.log, (level, part, message) => {
    for (const observer of looking) observer.line?.({ timeMs: clock.nowMs(), level, part, message })
  })
  const learner = await startLearnerThread({ config, log, onLost })
  let broker: Broker | undefined
  let dashboard: Dashboard | undefined
  try {
    broker = config.broker === undefined ? await startBroker({ ...config.listen, log }) : undefined
    const brokerUrl = config.broker ?? broker!.url
    const connection = connectMqtt({ url: brokerUrl, clientId: 'kestrel-ground', log: log.child('link') })
    const { uplinkKbps, fleet } = config
    const station = new GroundStation({
      connection,
      learner,
      clock,
      uplinkKbps,
      fleet,
      observers: looking,
      log,
    })
    if (config.dashboard.enabled) {
      dashboard = new Dashboard({ config, student: learner.student, station, clock, log })
      looking.push(dashboard.observer)
      await dashboard.start()
    }
    station.start()
    const where = broker === undefined ? brokerUrl : `${broker.host}:${broker.port}`
    log.info(
      `Teaching ${learner.student.source} (${learner.student.classes.join(', ')}); drones connect to ${where}`,
    )
    let stopped: Promise<void> | undefined
    const stop = async () => {
      await dashboard?.stop()
      await station.stop()
      await connection.close()
      await broker?.close()
    }
    return { brokerUrl, dashboardUrl: dashboard?.url, stop: () => (stopped ??= stop()) }
  } catch (error) {
    await learner.close()
    await dashboard?.stop()
    await broker?.close()
    throw error
  }
}
