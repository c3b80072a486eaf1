import { type Job, openTeacher, ReplayBuffer } from '@kestrel/ground-station'
import { readParameters, toPlanar } from '@kestrel/models'
import { createRng, VirtualClock } from '@kestrel/runtime'
import { FleetDrone } from './fleet-drone.js'
import type { FleetContext } from './fly-fleet.js'
import type { RouteFrame } from './route.js'

/** What the ground's steps take on a machine, s. */
export interface StepCosts {
  /** Decoding a frame and the teacher's label of it. */
  labelS: number
  /** A training iteration on one mini-batch. */
  iterationS: number
  /** The rest of a phase: the gate, the look at the swap before, encoding the update. */
  restS: number
}

/**
 * Measures the steps on this machine, as one drone's session takes them; medians.
 *
 * @param options.teacher FILE.onnx
 * @param options.frames of a drone; their size is the student's
 * @param options.phases that are timed, each on T_update of frames
 */
export async function measureStepCosts(options: {
  teacher: string
  frames: RouteFrame[]
  phases: number
  context: FleetContext
}): Promise<StepCosts> {
  const { frames, phases, context } = options
  const { student, threads, log, settings } = context
  const teacher = await openTeacher(options.teacher, { studentClasses: student.classes, threads, log })
  const clock = new VirtualClock(0)
  const drone = await FleetDrone.create({
    name: 'a',
    context: { ...context, clock },
    frames,
    startMs: 0,
    teacher,
  })
  const labels: number[] = []
  const whole: number[] = []
  const phase: Job = { kind: 'phase', drone: 'a' }
  const timed = async (job: Job) => {
    const beganMs = performance.now()
    await drone.run(job)
    return (performance.now() - beganMs) / 1000
  }
  try {
    for (let i = 0; i < frames.length && whole.length <= phases; i++) {
      await clock.advanceTo(1000 * i)
      const job = await drone.onFrame(1000 * i)
      if (job === undefined) continue
      labels.push((await timed(job)) / drone.framesIn(job))
      whole.push(await timed(phase))
    }
    const iterationS = median(await timeIterations(frames, context))
    const restS = Math.max(0, median(warm(whole)) - settings.iterations * iterationS)
    return { labelS: median(warm(labels)), iterationS, restS }
  } finally {
    await drone.dispose()
    await teacher.release()
  }
}

async function timeIterations(frames: RouteFrame[], { student, engine, settings }: FleetContext) {
  const buffer = new ReplayBuffer({ horizonMs: Number.POSITIVE_INFINITY })
  for (const [i, { image, labels }] of frames.slice(0, 2 * settings.batchSize).entries())
    buffer.add({ timeMs: i, image: toPlanar(image), labels })
  const parameters = readParameters(student)
  const training = await engine()
  const times: number[] = []
  for (let i = 0; i <= settings.iterations; i++) {
    const batch = buffer.sample(createRng(i), settings.batchSize)!
    const beganMs = performance.now()
    await training.lossAndGradient(batch, parameters)
    times.push((performance.now() - beganMs) / 1000)
  }
  return warm(times)
}

/** Without the first, which allocates; in a flight so short that there is only one, that. */
function warm(times: number[]): number[] {
  return times.length > 1 ? times.slice(1) : times
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
