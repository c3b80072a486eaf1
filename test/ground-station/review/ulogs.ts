/** A PX4 log made by hand, as https://docs.px4.io/main/en/dev_log/ulog_file_format.html describes it. */
export class UlogBuilder {
  readonly #parts: Buffer[] = []

  constructor() {
    const header = Buffer.alloc(16)
    Buffer.from([0x55, 0x4c, 0x6f, 0x67, 0x01, 0x12, 0x35, 0x01]).copy(header)
    this.#parts.push(header)
    this.#message('B', Buffer.alloc(40))
  }

  /** @param fields such as `uint64_t timestamp;float[4] q;` */
  format(name: string, fields: string): this {
    return this.#message('F', Buffer.from(`${name}:${fields}`))
  }

  parameter(name: string, value: number): this {
    const key = Buffer.from(`float ${name}`)
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(value)
    return this.#message('P', Buffer.concat([Buffer.from([key.length]), key, bytes]))
  }

  subscribe(id: number, name: string, instance = 0): this {
    return this.#message('A', Buffer.concat([Buffer.from([instance, id & 255, id >> 8]), Buffer.from(name)]))
  }

  data(id: number, body: Buffer): this {
    return this.#message('D', Buffer.concat([Buffer.from([id & 255, id >> 8]), body]))
  }

  log(level: number, timestampUs: bigint, text: string): this {
    const head = Buffer.alloc(9)
    head[0] = 48 + level
    head.writeBigUInt64LE(timestampUs, 1)
    return this.#message('L', Buffer.concat([head, Buffer.from(text)]))
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #message(type: string, body: Buffer): this {
    const head = Buffer.alloc(3)
    head.writeUInt16LE(body.length)
    head[2] = type.charCodeAt(0)
    this.#parts.push(head, body)
    return this
  }
}

/** Messages of a log by topic (`name#instance`), parsed anew: the payloads behind the message id. */
export function payloads(bytes: Buffer): {
  topics: Map<string, Buffer[]>
  parameters: Set<string>
  texts: number
} {
  const topics = new Map<string, Buffer[]>()
  const names = new Map<number, string>()
  const parameters = new Set<string>()
  let texts = 0
  for (let at = 16; at + 3 <= bytes.length; ) {
    const size = bytes.readUInt16LE(at)
    const type = String.fromCharCode(bytes[at + 2])
    const body = bytes.subarray(at + 3, at + 3 + size)
    at += 3 + size
    if (type === 'A') names.set(body.readUInt16LE(1), `${body.subarray(3)}#${body[0]}`)
    else if (type === 'P') parameters.add(String(body.subarray(1, 1 + body[0])).split(' ')[1])
    else if (type === 'L' || type === 'C') texts++
    else if (type === 'D') {
      const name = names.get(body.readUInt16LE(0)) as string
      topics.set(name, [...(topics.get(name) ?? []), body.subarray(2)])
    }
  }
  return { topics, parameters, texts }
}
