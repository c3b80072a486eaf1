import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import { loadStudent, readParameters, type Student } from '@kestrel/models'
import { messageOf, UserError } from '@kestrel/runtime'
import type { Adam } from '../training/adam.js'

/** Everything that training goes on from. */
export interface Checkpoint {
  format: 1
  /** Iterations done. */
  iteration: number
  /** Of the student's parameters, hexadecimal. */
  layout: string
  parameters: Float32Array
  /** Adam's moments and steps. */
  m: Float32Array
  v: Float32Array
  steps: number
  /** Running statistics, by the names of their initializers. */
  statistics: Map<string, Float32Array>
  /** How long it took to get here, with the times before earlier interruptions. */
  minutes: number
}

/** What another training begins with. */
export type Start = Pick<Checkpoint, 'parameters' | 'statistics'>

/** Whether a recipe starts from a finished model; else from a checkpoint. */
export const isModel = (file: string): boolean => /\.onnx$/i.test(file)

/**
 * Weights to begin with: of a checkpoint, or of a finished model, whose BatchNormalization is folded away and stays so.
 *
 * @param student of the same architecture and, for a finished model, folded too; the size of its images may differ
 * @throws UserError where the file cannot be used
 */
export function readStart(file: string, student: Student): Start {
  if (!isModel(file)) return readCheckpoint(file, student)
  if (!existsSync(file)) throw new UserError(`There is no model ${file} to start from`)
  const model = loadStudent(readFileSync(file), { source: file })
  if (layoutOf(model) !== layoutOf(student)) throw otherArchitecture(file, student, model.parameterCount)
  return { parameters: readParameters(model), statistics: new Map() }
}

/** Puts the state of a training beside the model that it makes; a crash leaves the old file or the new one. */
export function saveCheckpoint(
  file: string,
  state: {
    student: Student
    iteration: number
    parameters: Float32Array
    adam: Adam
    statistics: Map<string, Float32Array>
  },
  minutes: number,
): void {
  const { student, iteration, parameters, adam, statistics } = state
  const checkpoint: Checkpoint = {
    format: 1,
    iteration,
    layout: layoutOf(student),
    parameters,
    m: adam.m,
    v: adam.v,
    steps: adam.i,
    statistics,
    minutes,
  }
  writeFileSync(`${file}.new`, serialize(checkpoint))
  renameSync(`${file}.new`, file)
}

/**
 * Reads a checkpoint of a student of the same architecture; the size of its images may differ.
 *
 * @throws UserError where it is none, or of another architecture
 */
export function readCheckpoint(file: string, student: Student): Checkpoint {
  if (!existsSync(file)) throw new UserError(`There is no checkpoint ${file}`)
  let checkpoint: Checkpoint
  try {
    checkpoint = deserialize(readFileSync(file)) as Checkpoint
  } catch (cause) {
    throw new UserError(`${file} is no checkpoint of pretrain: ${messageOf(cause)}`, { cause })
  }
  if (checkpoint?.format !== 1) throw new UserError(`${file} is no checkpoint of pretrain`)
  if (checkpoint.layout !== layoutOf(student)) {
    throw otherArchitecture(file, student, checkpoint.parameters.length)
  }
  return checkpoint
}

function otherArchitecture(file: string, student: Student, found: number): UserError {
  return new UserError(
    `${file} is of another architecture: expected the ${student.parameterCount} parameters of ${student.source}, ` +
      `found ${found}; width multiplier and classes must be the same`,
  )
}

function layoutOf(student: Student): string {
  return Buffer.from(student.layoutDigest).toString('hex')
}
