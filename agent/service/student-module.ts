import { join } from 'node:path'
import { readStudentFile, type Student, withParameters } from '@kestrel/models'
import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import { type RollBack, UpdateApplier } from '../student/applier.js'
import { DecoderThread } from '../student/decoder-thread.js'
import { StudentPair } from '../student/pair.js'
import { SlotStore } from '../student/store.js'
import type { WeightState } from '../student/update-decoder.js'
import type { AgentConfig } from './config.js'
import type { Module } from './modules.js'

/** The student that flies, its threads, and what updates it. */
export class StudentModule implements Module {
  readonly name = 'student'
  readonly #config: AgentConfig
  readonly #clock: Clock
  readonly #log: Log
  #student: Student | undefined
  #pair: StudentPair | undefined
  #decoder: DecoderThread | undefined
  #applier: UpdateApplier | undefined
  readonly #onRolledBack: (() => void)[] = []

  constructor(config: AgentConfig, options: { clock: Clock; log: Log }) {
    this.#config = config
    this.#clock = options.clock
    this.#log = options.log.child('student')
  }

  get student(): Student {
    return running(this.#student)
  }

  get pair(): StudentPair {
    return running(this.#pair)
  }

  get applier(): UpdateApplier {
    return running(this.#applier)
  }

  /** @throws UserError where the file is no student */
  async start(): Promise<void> {
    const student = readStudentFile(this.#config.student)
    const store = new SlotStore({ folder: join(this.#config.stateDir, 'weights'), student, log: this.#log })
    const { pair, start, previous } = await this.#fly(student, await store.load())
    const decoder = new DecoderThread(student)
    decoder.start()
    const { width, height } = student.input
    this.#log.info(
      `${student.source}: ${student.classes.length} classes, ${width}x${height}, ${student.parameterCount} parameters`,
    )
    this.#student = student
    this.#pair = pair
    this.#decoder = decoder
    this.#applier = new UpdateApplier({
      student,
      host: pair,
      store,
      start,
      previous,
      rolledBack: store.rolledBack,
      decoder,
      clock: this.#clock,
    })
  }

  /** Flies the weights before again, between two frames; for whoever may order it: the pilot by MAVLink or on the command line. Never rejects. */
  async rollBack(): Promise<RollBack> {
    return this.#rolledBack(await this.applier.rollBack())
  }

  /** Rolls back where weights with this digest fly, and bars them: what the ground orders. Never rejects. */
  async reject(digest: Uint8Array): Promise<void> {
    const outcome = await this.applier.reject(digest)
    if (outcome !== undefined) this.#rolledBack(outcome)
  }

  /** Calls back whenever other weights fly without an update having come. */
  onRolledBack(listener: () => void): void {
    this.#onRolledBack.push(listener)
  }

  #rolledBack(outcome: RollBack): RollBack {
    const { rolledBack, from, to, detail } = outcome
    if (rolledBack) {
      this.#log.warn(`Rolled back from version ${from} to version ${to}${detail === '' ? '' : `; ${detail}`}`)
      for (const listener of this.#onRolledBack) listener()
    } else this.#log.warn(`Version ${from} could not be rolled back: ${detail}`)
    return outcome
  }

  async stop(): Promise<void> {
    await this.#decoder?.stop()
    await this.#pair?.stop()
  }

  /**
   * Weights that were stored whole and yet do not load are no reason to stay on the ground: those before them fly.
   *
   * @param candidates newest first, the shipped ones last
   */
  async #fly(
    student: Student,
    [start, previous, ...others]: WeightState[],
  ): Promise<{ pair: StudentPair; start: WeightState; previous?: WeightState }> {
    const options = { threads: this.#config.threads }
    if (previous === undefined) {
      return { pair: await StudentPair.create(student, student.bytes, options), start }
    }
    try {
      const bytes = withParameters(student, start.parameters)
      return { pair: await StudentPair.create(student, bytes, options), start, previous }
    } catch (error) {
      this.#log.warn(
        `Stored version ${start.version} does not run: ${messageOf(error)}; what flew before it flies`,
      )
      return this.#fly(student, [previous, ...others])
    }
  }
}

function running<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the student has not been started')
  return part
}
