import { basename } from 'node:path'
import { type Clock, type Log, messageOf } from '@kestrel/runtime'
import { encodeHello, LabelEncoder } from '../output/label-message.js'
import { LabelSocket } from '../output/label-socket.js'
import { LabelWebSocket } from '../output/label-web-socket.js'
import { Readers } from '../output/readers.js'
import { LabelSummary } from '../output/summary.js'
import type { AgentConfig } from './config.js'
import type { LabelledFrame } from './flight-module.js'
import { VERSION } from './link-module.js'
import type { Module } from './modules.js'
import type { StudentModule } from './student-module.js'

/** Labels for other programs on board, and a few numbers of them for the autopilot. */
export class OutputModule implements Module {
  readonly name = 'output'
  readonly #config: AgentConfig
  readonly #student: StudentModule
  readonly #onValue: ((name: string, value: number) => void) | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #encoder = new LabelEncoder()
  #outlets: (LabelSocket | LabelWebSocket)[] = []
  #readers: Readers | undefined
  #summary: LabelSummary | undefined
  #sequence = 0
  #valuesDueMs = Number.NEGATIVE_INFINITY
  #saidBroken = false

  /** @param options.onValue told the named values, once every `output.summary.periodS`: `vehicle.namedValue` belongs here */
  constructor(
    config: AgentConfig,
    options: {
      student: StudentModule
      onValue?: (name: string, value: number) => void
      clock: Clock
      log: Log
    },
  ) {
    this.#config = config
    this.#student = options.student
    this.#onValue = options.onValue
    this.#clock = options.clock
    this.#log = options.log.child('output')
  }

  /** The port of the WebSocket, where there is one. */
  get webSocketPort(): number | undefined {
    return this.#outlets.find(outlet => outlet instanceof LabelWebSocket)?.port
  }

  /** @throws UserError where a socket, a port or a class cannot be used */
  async start(): Promise<void> {
    const { output, drone } = this.#config
    const { classes, palette, source, input } = this.#student.student
    const { width, height } = input
    this.#summary = new LabelSummary({ classes, ...output.summary })
    const { safe } = this.#summary
    const without = `none: output.summary.safe names none, and no class of the student (${classes.join(', ')}) means open ground`
    this.#log.debug(`Clear ground: ${safe.length === 0 ? without : safe.join(', ')}`)
    const student = basename(source)
    const software = `kestrel-agent ${VERSION}`
    const hello = encodeHello({ drone, software, student, width, height, classes, palette })
    const readers = new Readers({ hello, max: output.maxReaders })
    const { socket: path, socketAccess: access, webSocketPort: port } = output
    if (path !== undefined) {
      await this.#offer(new LabelSocket({ path, access, readers, log: this.#log }))
      this.#log.info(`Labels on ${path}`)
    }
    if (port !== undefined) {
      await this.#offer(new LabelWebSocket({ port, readers, log: this.#log }))
      this.#log.info(`Labels on ws://127.0.0.1:${this.webSocketPort}`)
    }
    this.#readers = readers
  }

  async stop(): Promise<void> {
    for (const outlet of this.#outlets) await outlet.stop()
    this.#outlets = []
    const { sent, dropped } = this.#readers?.totals ?? { sent: 0, dropped: 0 }
    if (sent > 0)
      this.#log.info(`${sent} labelled frames read by other programs, ${dropped} left out by slow ones`)
  }

  /** Offers a labelled frame to whoever reads. Returns within a millisecond and never throws. */
  offer(labelled: LabelledFrame): void {
    try {
      this.#toReaders(labelled)
      this.#toVehicle(labelled)
    } catch (error) {
      if (!this.#saidBroken) this.#log.error(`Labels could not be given out: ${messageOf(error)}`)
      this.#saidBroken = true
    }
  }

  async #offer(outlet: LabelSocket | LabelWebSocket): Promise<void> {
    try {
      await outlet.start()
      this.#outlets.push(outlet)
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  #toReaders({ frame, labels, latencyMs, modelVersion }: LabelledFrame): void {
    this.#sequence += 1
    const readers = this.#readers
    if (readers === undefined || readers.size === 0) return
    const { id, captureMs } = frame
    const classes = this.#student.student.classes.length
    readers.offer(
      this.#encoder.encode({
        sequence: this.#sequence,
        frameId: id,
        captureMs,
        modelVersion,
        latencyMs,
        classes,
        map: labels,
      }),
    )
  }

  #toVehicle({ labels }: LabelledFrame): void {
    const nowMs = this.#clock.nowMs()
    if (this.#onValue === undefined || nowMs < this.#valuesDueMs) return
    this.#valuesDueMs = nowMs + 1000 * this.#config.output.summary.periodS
    for (const { name, value } of this.#summary?.values(labels) ?? []) this.#onValue(name, value)
  }
}
