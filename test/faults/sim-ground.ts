import {
  decodeState,
  encodeState,
  GroundSession,
  GroundStation,
  type Job,
  type JobResult,
  type Learner,
  type Teacher,
  type TrainingEngine,
} from '@kestrel/ground-station'
import { decodeEnvelope } from '@kestrel/link'
import { readUpdateHeader } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'
import type { NetworkEnd } from './network.js'
import { NAME } from './sim-drone.js'
import { digestOf, hex, PERIOD_S, type World } from './world.js'

/** The ground station: real station, session, chain and delivery; gradients and labels are drawn by lot. */
export class SimGround {
  readonly #world: World
  /** Saved states, oldest first. */
  #saved: Uint8Array[] = []
  #state: Uint8Array | undefined
  #life = 0
  #end: NetworkEnd | undefined
  #station: GroundStation | undefined
  #session: GroundSession | undefined
  #offsetMs = 0

  constructor(world: World) {
    this.#world = world
  }

  /** SHA-256 of what it thinks the drone flies; undefined while an update is under way. */
  get settledDigest(): string | undefined {
    const session = this.#session
    return session === undefined || session.pending !== undefined
      ? undefined
      : digestOf(session.flown.parameters)
  }

  get version(): number | undefined {
    return this.#session?.flown.version
  }

  start(): void {
    const life = ++this.#life
    const { network, clock } = this.#world
    this.#end = network.connect('ground')
    this.#station = new GroundStation({
      connection: this.#end,
      learner: this.#learner(life),
      clock: clock.shifted(this.#offsetMs),
      uplinkKbps: 200,
      log: silentLog,
    })
    this.#station.start()
  }

  crash(): void {
    this.#life++
    this.#end?.kill()
    this.#session = undefined
    this.#station = undefined
  }

  /** Somebody restores a backup. @param back how many saves ago; beyond the first there is none */
  restoreState(back: number): void {
    this.#state = this.#saved.at(-1 - back)
  }

  setClock(offsetMs: number): void {
    this.#offsetMs = offsetMs
  }

  /** Somebody at the ground wants the weights before. */
  rollBack(): void {
    this.#station?.rollBack(NAME)
  }

  #learner(life: number): Learner {
    const { student, clock } = this.#world
    const alive = async (ms: number) => {
      await clock.sleep(ms)
      if (life !== this.#life) await new Promise(() => {})
    }
    const run = async (job: Job): Promise<JobResult> => {
      const session = (this.#session ??= this.#open())
      let update: JobResult['update']
      let phase: JobResult['phase']
      switch (job.kind) {
        case 'report':
          update = session.reconcile(job.report)
          break
        case 'answer':
          update = session.acknowledge(job.answer)
          break
        case 'reject':
          session.reject()
          this.#save(session)
          break
        case 'segment': {
          await alive(200)
          const { payload, id } = decodeEnvelope(job.message)
          if (payload.case !== 'segment') throw new Error('no segment')
          const lives = this.#world.taken.get(hex(id)) ?? new Map<number, number>()
          lives.set(life, (lives.get(life) ?? 0) + 1)
          this.#world.taken.set(hex(id), lives)
          await clock.during(() => session.addSegment(payload.value))
          break
        }
        case 'phase': {
          await alive(1500)
          const report = await clock.during(() => session.runPhase())
          update = report.update
          phase = report
          this.#save(session)
          break
        }
      }
      if (life !== this.#life) await new Promise(() => {})
      if (update !== undefined) this.#issue(update)
      const { newFrames, samplingFps, updatePeriodS, rejectDigest } = session
      return { update, phase, newFrames, samplingFps, updatePeriodS, rejectDigest }
    }
    const { classes, layoutDigest } = student
    return { student: { source: 's.onnx', classes, layoutDigest }, run, close: async () => {} }
  }

  #issue({ version, codec, baseVersion, bytes }: NonNullable<JobResult['update']>): void {
    const { resultDigest } = readUpdateHeader(bytes)
    this.#world.issued.add(hex(resultDigest))
    this.#world.say(`ground sends ${codec} ${baseVersion} → ${version} ${hex(resultDigest).slice(0, 8)}`)
  }

  #open(): GroundSession {
    const { student, clock } = this.#world
    return new GroundSession({
      student,
      engine: driftingEngine(student.parameterCount),
      teacher: halvesTeacher(student.classes),
      clock,
      state: this.#state && decodeState(this.#state, 'a backup'),
      threads: 1,
      log: silentLog,
      options: {
        updatePeriodS: PERIOD_S,
        iterations: 2,
        batchSize: 2,
        fraction: 0.3,
        holdOutFraction: 0,
        rollBack: { enabled: false },
        asr: { enabled: false },
        atr: { enabled: false },
      },
    })
  }

  #save(session: GroundSession): void {
    this.#state = encodeState(session.state())
    this.#saved = [...this.#saved, this.#state].slice(-20)
  }
}

/** A gradient that pushes every weight about, so that each phase has something to send. */
function driftingEngine(parameterCount: number): TrainingEngine {
  const gradient = new Float32Array(parameterCount)
  let calls = 0
  return {
    name: 'onnx',
    provider: 'cpu',
    async lossAndGradient(_batch, parameters) {
      calls++
      for (let i = 0; i < parameterCount; i++) gradient[i] = Math.sin(i * calls) + 0.01 * parameters[i]
      return { loss: 1, gradient }
    },
    async dispose() {},
  }
}

function halvesTeacher(classes: string[]): Teacher {
  return {
    classes,
    atCameraSize: false,
    async label({ width, height }) {
      const data = new Uint8Array(width * height)
      data.fill(1, data.length / 2)
      return { width, height, data }
    },
    async release() {},
  }
}
