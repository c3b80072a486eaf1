import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Line } from '@kestrel/link/mavlink'
import type { Clock } from '@kestrel/runtime'
import { crc16, frameAround, messages, parseFrame, type Values } from '../support/mavlink.js'
import type { WireEnd } from '../support/wire.js'

export interface FakeParameter {
  /** MAV_PARAM_TYPE */
  type: number
  value: number
}

export interface FakeAutopilotOptions {
  /** MAV_AUTOPILOT: 3 ArduPilot, 12 PX4. */
  autopilot: number
  /** MAV_TYPE */
  type?: number
  /** Of AUTOPILOT_VERSION, which is not answered without it. */
  capabilities?: bigint
  version?: [major: number, minor: number, patch: number]
  /** Whether integers cross as the bytes of an int32 (PX4), or as a float. */
  bytewise: boolean
  parameters: Record<string, FakeParameter>
  /** Whether a parameter is known now. */
  isHidden?: (name: string) => boolean
  /** What is kept of a value that is set. */
  keep?: (name: string, value: number) => number
  /** Speaks there instead of over UDP, and beats by this clock. */
  wire?: { end: WireEnd; clock: Clock }
}

/**
 * An autopilot that knows nothing but parameters, written from the standard alone: it shares no code with what it tests. UDP, on a port of its
 * own.
 */
export class FakeAutopilot {
  readonly parameters: Map<string, FakeParameter>
  /** Names and types of each PARAM_SET that came. */
  readonly sets: { name: string; type: number }[] = []
  armed = false
  /** Called for each PARAM_SET, before it is answered. */
  onSet: (name: string) => void = () => {}
  readonly #options: FakeAutopilotOptions
  readonly #socket: Socket
  #line: Line | undefined
  readonly #partners = new Map<string, { address: string; port: number }>()
  #timer: NodeJS.Timeout | undefined
  readonly #silent = new AbortController()

  constructor(options: FakeAutopilotOptions) {
    this.#options = options
    this.parameters = new Map(Object.entries(options.parameters).map(([name, each]) => [name, { ...each }]))
    this.#socket = createSocket('udp4')
  }

  get endpoint(): string {
    return `udpout:127.0.0.1:${this.#socket.address().port}`
  }

  async start(): Promise<void> {
    if (this.#options.wire !== undefined) return this.#startOnWire(this.#options.wire)
    this.#socket.bind(0, '127.0.0.1')
    await once(this.#socket, 'listening')
    this.#socket.on('message', (frame, { address, port }) => {
      const isNew = !this.#partners.has(`${port}`)
      this.#partners.set(`${port}`, { address, port })
      if (isNew) this.heartbeat()
      this.#hear(frame)
    })
    this.#timer = setInterval(() => this.heartbeat(), 200)
  }

  async stop(): Promise<void> {
    this.silence()
    if (this.#options.wire !== undefined) return this.#options.wire.end.stop()
    await new Promise<void>(resolve => this.#socket.close(() => resolve()))
  }

  async #startOnWire({ end, clock }: NonNullable<FakeAutopilotOptions['wire']>): Promise<void> {
    await end.start({
      opened: line => {
        this.#line = line
      },
      received: (_, bytes) => this.#hear(Buffer.from(bytes)),
      closed() {},
    })
    void (async () => {
      while (!this.#silent.signal.aborted) {
        this.heartbeat()
        await clock.sleep(200, this.#silent.signal)
      }
    })()
  }

  /** No more heartbeats. */
  silence(): void {
    this.#silent.abort()
    clearInterval(this.#timer)
  }

  heartbeat(): void {
    const { autopilot, type = 2 } = this.#options
    this.#say('HEARTBEAT', {
      type,
      autopilot,
      base_mode: this.armed ? 128 : 0,
      system_status: 4,
      mavlink_version: 3,
    })
  }

  #hear(frame: Buffer): void {
    const { name, values } = parseFrame(frame)
    if (name !== 'HEARTBEAT' && (values.target_system !== 1 || values.target_component !== 1)) return
    if (name === 'COMMAND_LONG' && values.command === 512 && values.param1 === 148) this.#sayVersion()
    if (name === 'PARAM_REQUEST_READ') this.#sayValue(String(values.param_id))
    if (name === 'PARAM_SET') this.#set(String(values.param_id), Number(values.param_type), frame)
  }

  #set(name: string, type: number, frame: Buffer): void {
    this.sets.push({ name, type })
    this.onSet(name)
    const parameter = this.parameters.get(name)
    // PX4 refuses another type than its own; silence, as for a name that it does not know.
    const isType = parameter?.type === type || this.#options.autopilot !== 12
    if (parameter !== undefined && !this.#options.isHidden?.(name) && isType) {
      // The value begins the payload, after ten bytes of header.
      const value =
        this.#options.bytewise && parameter.type !== 9 ? frame.readInt32LE(10) : frame.readFloatLE(10)
      parameter.value = this.#options.keep?.(name, value) ?? value
      this.#sayValue(name)
    }
  }

  #sayValue(name: string): void {
    const parameter = this.parameters.get(name)
    if (parameter === undefined || this.#options.isHidden?.(name)) return
    const bytes = Buffer.alloc(4)
    if (this.#options.bytewise && parameter.type !== 9) bytes.writeInt32LE(parameter.value)
    else bytes.writeFloatLE(parameter.value)
    const values = { param_id: name, param_type: parameter.type, param_count: 99, param_index: 65_535 }
    this.#say('PARAM_VALUE', values, payload => bytes.copy(payload, 0))
  }

  #sayVersion(): void {
    const { capabilities, version = [0, 0, 0] } = this.#options
    if (capabilities === undefined) return
    const [major, minor, patch] = version
    this.#say('AUTOPILOT_VERSION', {
      capabilities,
      flight_sw_version: ((major << 24) | (minor << 16) | (patch << 8) | 255) >>> 0,
    })
  }

  #say(name: string, values: Values, change: (payload: Buffer) => void = () => {}): void {
    const definition = [...messages.values()].find(each => each.name === name)!
    const payload = Buffer.alloc(definition.fullLength)
    for (const { name: field, type, offset, length } of definition.fields) {
      const value = values[field]
      if (value === undefined) continue
      if (type === 'char') payload.write(String(value), offset, length, 'latin1')
      else if (typeof value === 'bigint') payload.writeBigUInt64LE(value, offset)
      else payload.writeUIntLE(Number(value), offset, { u8: 1, u16: 2, u32: 4 }[type as 'u8' | 'u16' | 'u32'])
    }
    change(payload)
    const frame = frameAround(definition, payload)
    frame.set([1, 1], 5)
    const end = frame.length - 2
    frame.writeUInt16LE(crc16(Buffer.of(definition.crcExtra), crc16(frame.subarray(1, end))), end)
    this.#line?.write(frame)
    for (const { address, port } of this.#partners.values()) this.#socket.send(frame, port, address)
  }
}
