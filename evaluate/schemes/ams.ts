import { GroundSession, type Strategy } from '@kestrel/ground-station'
import { sessionSettings } from '../settings.js'
import type { SchemeContext } from './context.js'
import { Flight } from './flight.js'
import { FlyingStudent } from './flying-student.js'
import type { Scheme } from './scheme.js'

/**
 * Adaptive Model Streaming (AMS, section 3), by the code that flies: frames are sampled at r, sent as one clip every
 * T_update, labelled, trained on, and γ of the weights come back. The frame that ends a period already sees the new
 * weights, unless `--delay-s` says how long training and transfer take.
 *
 * @param options.strategy how coordinates are chosen; that of the settings where not given
 */
export async function createAms(
  context: SchemeContext,
  options: { name: string; strategy?: Strategy },
): Promise<Scheme> {
  const { student, size, threads, teacher, clock, settings, seed, log } = context
  const { name, strategy = settings.strategy } = options
  const flying = await FlyingStudent.create(student, { size, threads })
  const session = new GroundSession({
    student,
    engine: await context.engine(),
    teacher,
    clock,
    options: { ...sessionSettings(settings, seed), strategy },
    log: log.child(name),
  })
  const flight = new Flight({
    context,
    flying,
    session,
    samplingFps: settings.asr.fps,
    periodS: settings.updatePeriodS,
  })
  let periodEndMs: number | undefined
  let phases = 0
  let heldBack = 0

  const endPeriod = async (endMs: number): Promise<number> => {
    const segment = await flight.sendSegment(endMs)
    if (segment !== undefined) await session.addSegment(segment)
    const report = await flight.runPhase()
    if (report.trained) phases++
    if (report.trained && !report.sent) heldBack++
    await flight.control(report.samplingFps, report.updatePeriodS, settings.link.uplinkKbps)
    return endMs + report.updatePeriodS * 1000
  }

  return {
    name,
    async onFrame(frame) {
      periodEndMs ??= frame.captureMs + settings.updatePeriodS * 1000
      // A microsecond of tolerance: frame times are sums of fractions.
      while (frame.captureMs >= periodEndMs - 1e-3) periodEndMs = await endPeriod(periodEndMs)
      await flight.receive()
      const labels = await flying.label(frame)
      flight.offer(frame)
      return labels
    },
    async finish() {
      // The last, unfinished period has cost its uplink too, though nothing comes of it.
      await flight.sendSegment(clock.nowMs())
      return {
        uplinkBytes: flight.link.uplinkBytes,
        downlinkBytes: flight.link.downlinkBytes,
        updates: flight.applied,
        sampledFrames: flight.sampledFrames,
        details: { phases, heldBack, refused: flight.refused, rolledBack: flight.rolledBack },
      }
    },
    async dispose() {
      flight.dispose()
      await flying.dispose()
    },
  }
}
