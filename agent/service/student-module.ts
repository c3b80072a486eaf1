import { join } from 'node:path'
import { readParameters, readStudentFile, type Student, withParameters } from '@kestrel/models'
import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import { UpdateApplier } from '../student/applier.js'
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
    const { pair, start } = await this.#fly(student, await store.load())
    const decoder = new DecoderThread(student)
    decoder.start()
    const { width, height } = student.input
    this.#log.info(
      `${student.source}: ${student.classes.length} classes, ${width}x${height}, ${student.parameterCount} parameters`,
    )
    this.#student = student
    this.#pair = pair
    this.#decoder = decoder
    this.#applier = new UpdateApplier({ student, host: pair, store, start, decoder, clock: this.#clock })
  }

  async stop(): Promise<void> {
    await this.#decoder?.stop()
    await this.#pair?.stop()
  }

  /** Weights that were stored whole and yet do not load are no reason to stay on the ground. */
  async #fly(student: Student, stored: WeightState): Promise<{ pair: StudentPair; start: WeightState }> {
    const options = { threads: this.#config.threads }
    if (stored.version > 0) {
      try {
        const bytes = withParameters(student, stored.parameters)
        return { pair: await StudentPair.create(student, bytes, options), start: stored }
      } catch (error) {
        this.#log.warn(
          `Stored version ${stored.version} does not run (${messageOf(error)}): the shipped model flies`,
        )
      }
    }
    const start = { version: 0, parameters: readParameters(student) }
    return { pair: await StudentPair.create(student, student.bytes, options), start }
  }
}

function running<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the student has not been started')
  return part
}
