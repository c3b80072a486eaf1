import { existsSync } from 'node:fs'
import { connectMqtt, readCredentials } from '@kestrel/link'
import { type RgbImage, readStudentFile } from '@kestrel/models'
import { type Clock, RealClock, silentLog, UserError } from '@kestrel/runtime'
import { openCamera } from '../camera/open.js'
import type { AgentConfig } from '../service/config.js'
import { agentSockets, askAgent } from '../service/control-socket.js'
import type { AgentStatus } from '../service/status-module.js'
import { StudentPair } from '../student/pair.js'

/** How long a camera may take to give a picture, and a broker to answer, ms. */
const CAMERA_MS = 10_000
const BROKER_MS = 5000
const TRIALS = 5

/** Loads the student and runs it. @throws UserError */
export async function checkStudent(config: AgentConfig): Promise<string> {
  if (!existsSync(config.student)) {
    throw new UserError(
      `There is no student ${config.student}: set student to an ONNX file, such as one of Kestrel's models (in the package: /usr/share/kestrel/models)`,
    )
  }
  const student = readStudentFile(config.student)
  const { width, height } = student.input
  const pair = await StudentPair.create(student, student.bytes, { threads: config.threads })
  try {
    const image: RgbImage = { width, height, data: new Uint8Array(3 * width * height).fill(128) }
    await pair.label(image)
    const beganMs = performance.now()
    for (let i = 0; i < TRIALS; i++) await pair.label(image)
    const ms = (performance.now() - beganMs) / TRIALS
    return `${student.source}: ${student.classes.length} classes, ${width}x${height}, ${ms.toFixed(0)} ms a frame`
  } finally {
    await pair.stop()
  }
}

/** Takes one picture. @throws UserError */
export async function checkCamera(config: AgentConfig, running: AgentStatus | undefined): Promise<string> {
  if (running !== undefined) {
    const { description, trouble } = running.camera
    if (trouble !== undefined) throw new UserError(`${trouble} (says the agent that has it)`)
    return `${description}, ${running.flight.fps.toFixed(1)} frames/s (in use by the agent that runs)`
  }
  const clock: Clock = new RealClock()
  const camera = await openCamera({ ...config.camera, pace: 'real-time', clock, log: silentLog })
  const abort = new AbortController()
  try {
    const beganMs = clock.nowMs()
    await camera.start()
    if (camera.trouble !== undefined) throw new UserError(`${config.camera.source}: ${camera.trouble}`)
    const late = clock.sleep(CAMERA_MS, abort.signal).then(() => undefined)
    const frame = await Promise.race([camera.next(abort.signal), late])
    if (frame === undefined) {
      const why = camera.trouble ?? `no picture in ${CAMERA_MS / 1000} s`
      throw new UserError(
        `${camera.description}: ${why}; check its cable, and whether another program uses it`,
      )
    }
    return `${camera.description}, first picture after ${(clock.nowMs() - beganMs).toFixed(0)} ms`
  } finally {
    abort.abort()
    await camera.stop()
  }
}

/** Connects once. @throws UserError */
export async function checkBroker({ broker, drone, credentials }: AgentConfig): Promise<string> {
  let reason = `no answer in ${BROKER_MS / 1000} s`
  const log = {
    ...silentLog,
    warn: (message: string) => void (reason = message.replace(/\. Trying again.*/, '')),
  }
  const auth = credentials === undefined ? undefined : readCredentials(credentials)
  // A name of its own: the drone's would throw the running agent off.
  const connection = connectMqtt({ url: broker, clientId: `kestrel-${drone}/check`, auth, log })
  try {
    const up = await new Promise<boolean>(resolve => {
      const late = setTimeout(() => resolve(false), BROKER_MS)
      connection.onState(state => {
        clearTimeout(late)
        resolve(state === 'up')
      })
    })
    if (!up) {
      throw new UserError(
        `${reason}: start the ground station there, or set broker to its address; the drone flies without, and connects when it can`,
      )
    }
    return `${broker} answers (${auth === undefined ? 'not paired' : 'paired'})`
  } finally {
    await connection.close()
  }
}

/** The agent that runs with this configuration; undefined where none does, or it may not be asked. */
export async function runningAgent({ stateDir }: AgentConfig): Promise<AgentStatus | undefined> {
  for (const path of agentSockets(stateDir)) {
    const status = await askAgent(path, { command: 'status' }).catch(() => undefined)
    if (status !== undefined) return status as AgentStatus
  }
  return undefined
}
