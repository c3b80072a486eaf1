import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UpdateParts } from '@kestrel/agent'
import {
  type Connection,
  connectMqtt,
  Deduplicator,
  decodeEnvelope,
  encodeEnvelope,
  type PayloadInit,
  topic,
  type What,
} from '@kestrel/link'
import { applyUpdate, parameterDigest, readParameters } from '@kestrel/models'
import { RealClock, silentLog } from '@kestrel/runtime'
import { encode } from 'fast-png'
import { colourTeacher, tinyStudent, WORLD, worldClasses, worldImage, worldSegment } from './ground.js'

const clock = new RealClock()
const student = tinyStudent()
const FRAMES = 60

/** A folder with a student, and labels of the world. */
export async function writeGroundFiles(prefix: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), prefix))
  writeFileSync(join(dir, 'student.onnx'), student.bytes)
  mkdirSync(join(dir, 'labels'))
  writeFileSync(join(dir, 'labels', 'classes.json'), JSON.stringify({ classes: worldClasses }))
  for (let i = 0; i < FRAMES; i++) {
    const { data } = await colourTeacher().label(worldImage(i), { sourceIndex: i, captureMs: 0 })
    writeFileSync(join(dir, 'labels', `${i}.png`), encode({ ...WORLD, channels: 1, depth: 8, data }))
  }
  return dir
}

/** As much of the agent as the ground sees. */
export class FakeDrone {
  version = 0
  parameters = readParameters(student)
  applied: number[] = []
  refused: string[] = []
  controls = 0
  readonly #connection: Connection
  readonly #name: string
  readonly #parts = new UpdateParts({ parameterCount: student.parameterCount })
  readonly #repeats = new Deduplicator()
  /** Of the newest signature. */
  #counter = 0n

  constructor(url: string, name: string) {
    this.#name = name
    this.#connection = connectMqtt({ url, clientId: `kestrel-${name}`, log: silentLog })
    this.#connection.subscribe(topic(name, 'control'), () => this.controls++).catch(() => {})
    this.#connection.subscribe(topic(name, 'update'), (_, bytes) => this.#onUpdate(bytes)).catch(() => {})
    this.#connection.onState(state => {
      if (state === 'up') this.sendStatus()
    })
  }

  /** Four frames of one a second; those of the world are flown over again and again. */
  async segment(first: number): Promise<void> {
    const value = await worldSegment(first % FRAMES, 4)
    value.frames.forEach((frame, i) => {
      frame.captureUs = BigInt((first + i) * 1_000_000)
    })
    await this.#send('segment', { case: 'segment', value })
  }

  sendStatus(): void {
    const { classes, layoutDigest, parameterCount } = student
    const model = { modelVersion: this.version, modelDigest: parameterDigest(this.parameters) }
    const value = { online: true, student: 'student.onnx', classes, layoutDigest, parameterCount, ...model }
    void this.#send('status', { case: 'status', value })
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async #send(what: What, payload: PayloadInit): Promise<void> {
    const message = encodeEnvelope(payload, { clock })
    await this.#connection.publish(topic(this.#name, what), message, { qos: 1, retain: what === 'status' })
  }

  #onUpdate(bytes: Uint8Array): void {
    const { id, payload, signature } = decodeEnvelope(bytes)
    if (payload.case !== 'update' || this.#repeats.isRepeat(id)) return
    const counter = signature?.counter ?? 0n
    if (counter < this.#counter) {
      this.refused.push('replay')
      return
    }
    this.#counter = counter
    const data = this.#parts.add(payload.value, counter)
    if (data === undefined) return
    let reason = ''
    try {
      const { version, parameters } = applyUpdate(data, this)
      this.version = version
      this.parameters = parameters
      this.applied.push(version)
      this.sendStatus()
    } catch (error) {
      reason = (error as { reason: string }).reason
      this.refused.push(reason)
    }
    const model = { modelVersion: this.version, modelDigest: parameterDigest(this.parameters) }
    const value = { version: payload.value.version, applied: reason === '', reason, ...model }
    void this.#send('update-result', { case: 'updateResult', value })
  }
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (condition()) return
    await clock.sleep(10)
  }
  throw new Error(`waited in vain for ${what}`)
}
