import { parentPort, workerData } from 'node:worker_threads'
import { Scaler } from '@kestrel/link'
import {
  applyUpdate,
  type LabelMap,
  type RgbImage,
  readParameters,
  readStudentFile,
  type Student,
  StudentRunner,
  withParameters,
} from '@kestrel/models'
import { messageOf } from '@kestrel/runtime'
import type { RerunAnswer, RerunJob } from './rerun.js'

process.env.ORT_DISABLE_TELEMETRY = '1'

async function run({ student: file, updates, image }: RerunJob): Promise<RerunAnswer> {
  const student = readStudentFile(file)
  let held = { version: 0, parameters: readParameters(student) }
  let before = held
  for (const update of updates) {
    before = held
    held = applyUpdate(update.data, held)
  }
  const scaler = new Scaler()
  const { width, height } = student.input
  const scaled = scaler.scale(image, width, height)
  const answer = {
    before: await label(student, before.parameters, scaled),
    after: await label(student, held.parameters, scaled),
  }
  scaler.dispose()
  return answer
}

async function label(student: Student, parameters: Float32Array, image: RgbImage): Promise<LabelMap> {
  const runner = await StudentRunner.create(student, withParameters(student, parameters), { threads: 1 })
  try {
    return await runner.label(image)
  } finally {
    await runner.release()
  }
}

run(workerData as RerunJob).then(
  answer => parentPort?.postMessage(answer),
  error => parentPort?.postMessage({ failure: messageOf(error) } satisfies RerunAnswer),
)
