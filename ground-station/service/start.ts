import { connectMqtt } from '@kestrel/link'
import { type Log, RealClock } from '@kestrel/runtime'
import { type Broker, startBroker } from '../broker/broker.js'
import { openSecurity, readBrokerAuth } from '../security/security.js'
import type { GroundConfig } from './config.js'
import { GroundStation } from './ground-station.js'
import { startLearnerThread } from './learner-thread.js'

/** A ground station that runs. */
export interface RunningGround {
  /** Where drones connect. */
  brokerUrl: string
  /** What was tried and not allowed, and messages of no use, by kind. */
  readonly refused: Record<string, number>
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
  const { config, log, onLost } = options
  const clock = new RealClock()
  const { registry, signer, certificate } = await openSecurity(config, clock)
  const auth = readBrokerAuth(config)
  const learner = await startLearnerThread({ config, log, onLost })
  let broker: Broker | undefined
  try {
    if (config.broker === undefined) {
      const { host, port } = config.listen
      broker = await startBroker({ host, port, registry, certificate, log: log.child('broker'), clock })
    }
    const brokerUrl = config.broker ?? broker!.url
    const way = broker?.ground ?? { url: brokerUrl, clientId: 'kestrel/ground', auth }
    const connection = connectMqtt({ ...way, log: log.child('link') })
    const { uplinkKbps } = config
    const station = new GroundStation({
      connection,
      learner,
      signer,
      clock,
      uplinkKbps,
      incidents: broker?.incidents,
      log,
    })
    station.start()
    const where = broker === undefined ? brokerUrl : `${broker.host}:${broker.port}`
    log.info(
      `Teaching ${learner.student.source} (${learner.student.classes.join(', ')}); drones connect to ${where}`,
    )
    if (certificate !== undefined) log.info(pairedLine(registry.list().map(({ drone }) => drone)))
    let stopped: Promise<void> | undefined
    const stop = async () => {
      await station.stop()
      await connection.close()
      await broker?.close()
    }
    return {
      brokerUrl,
      get refused() {
        return station.refused
      },
      stop: () => (stopped ??= stop()),
    }
  } catch (error) {
    await learner.close()
    await broker?.close()
    throw error
  }
}

function pairedLine(drones: string[]): string {
  return drones.length === 0
    ? 'No drone is paired yet, so none can connect: kestrel-ground pair NAME'
    : `Paired drones: ${drones.join(', ')}`
}
