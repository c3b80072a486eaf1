import { GroundSession } from '@kestrel/ground-station'
import { sessionSettings } from '../settings.js'
import type { SchemeContext } from './context.js'
import { Flight } from './flight.js'
import { FlyingStudent } from './flying-student.js'
import type { Scheme } from './scheme.js'

/**
 * One-Time customisation (AMS, section 4.1): the whole student is fine-tuned once, on the first 60 s of the video, and
 * sent down as one full model. Frames are sampled at 1 frame/s and sent in the segments that AMS would send; the number of
 * iterations, which the paper does not give, is a setting (`oneTime.iterations`).
 *
 * Where the video is shorter than two minutes, the first half of it takes the place of the first 60 s, so that there is
 * something left to show.
 */
export async function createOneTime(context: SchemeContext): Promise<Scheme> {
  const { student, size, threads, teacher, clock, settings, seed, durationS, log } = context
  const { oneTime, updatePeriodS } = settings
  const windowS = Math.min(oneTime.seconds, durationS / 2)
  const flying = await FlyingStudent.create(student, { size, threads })
  const session = new GroundSession({
    student,
    engine: await context.engine(),
    teacher,
    clock,
    options: {
      ...sessionSettings(settings, seed),
      strategy: 'full',
      fraction: 1,
      codec: 'checkpoint',
      iterations: oneTime.iterations,
      alpha: oneTime.alpha,
      horizonS: Math.max(settings.horizonS, windowS),
      halfLifeS: 0,
      holdOutFraction: 0,
      asr: { ...settings.asr, enabled: false, fps: oneTime.fps },
      atr: { ...settings.atr, enabled: false },
    },
    log: log.child('one-time'),
  })
  const flight = new Flight({ context, flying, session, samplingFps: oneTime.fps, periodS: updatePeriodS })
  let startMs: number | undefined
  let segments = 0
  let done = false

  const endSegment = async (endMs: number): Promise<void> => {
    segments++
    const segment = await flight.sendSegment(endMs)
    if (segment !== undefined) await session.addSegment(segment)
  }

  return {
    name: 'one-time',
    async onFrame(frame) {
      startMs ??= frame.captureMs
      const elapsedS = (frame.captureMs - startMs) / 1000
      while (!done && elapsedS >= Math.min(windowS, (segments + 1) * updatePeriodS) - 1e-6) {
        const endS = Math.min(windowS, (segments + 1) * updatePeriodS)
        await endSegment(startMs + endS * 1000)
        if (endS < windowS) continue
        await flight.runPhase()
        done = true
      }
      await flight.receive()
      const labels = await flying.label(frame)
      if (!done) flight.offer(frame)
      return labels
    },
    async finish() {
      return {
        uplinkBytes: flight.link.uplinkBytes,
        downlinkBytes: flight.link.downlinkBytes,
        updates: flight.applied,
        sampledFrames: flight.sampledFrames,
        details: { windowS, iterations: oneTime.iterations, refused: flight.refused },
      }
    },
    async dispose() {
      flight.dispose()
      await flying.dispose()
    },
  }
}
