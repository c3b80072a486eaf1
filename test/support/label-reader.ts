import { connect, type Socket } from 'node:net'
import { waitFor } from './processes.js'

/** A labels message as docs/label-output.md describes it. */
export interface ReadLabels {
  frameId: number
  captureUs: bigint
  sequence: number
  modelVersion: number
  latencyUs: number
  width: number
  height: number
  classes: number
  runs: number
  map: Uint8Array
}

export type ReadMessage =
  | { kind: 'hello'; hello: Record<string, unknown> }
  | ({ kind: 'labels' } & ReadLabels)

/** Reads one message, without its length; written from the document, not from the encoder. */
export function readMessage(bytes: Uint8Array): ReadMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('utf8')
  if (text(0, 4) !== 'KLBL' || view.getUint8(4) !== 1) throw new Error('no message of version 1')
  const header = view.getUint16(6, true)
  if (view.getUint8(5) === 1) {
    return { kind: 'hello', hello: JSON.parse(text(header, header + view.getUint32(8, true))) }
  }
  const [width, height] = [view.getUint16(36, true), view.getUint16(38, true)]
  const runs = view.getUint32(44, true)
  if (header + view.getUint32(48, true) !== bytes.length)
    throw new Error('the runs do not end with the message')
  const map: number[] = []
  let at = header
  for (let run = 0; run < runs; run++) {
    const label = view.getUint8(at++)
    let length = 0
    let scale = 1
    for (let more = true; more; scale *= 128) {
      const byte = view.getUint8(at++)
      length += scale * (byte % 128)
      more = byte >= 128
    }
    if (length === 0) throw new Error('a run of nothing')
    for (let i = 0; i < length; i++) map.push(label)
  }
  if (at !== bytes.length || map.length !== width * height)
    throw new Error('the runs do not fill the picture')
  return {
    kind: 'labels',
    frameId: Number(view.getBigUint64(8, true)),
    captureUs: view.getBigInt64(16, true),
    sequence: view.getUint32(24, true),
    modelVersion: view.getUint32(28, true),
    latencyUs: view.getUint32(32, true),
    width,
    height,
    classes: view.getUint16(40, true),
    runs,
    map: Uint8Array.from(map),
  }
}

/** Cuts a stream into messages. */
export function streamMessages(): { add(chunk: Uint8Array): Uint8Array[] } {
  let bytes = Buffer.alloc(0)
  return {
    add(chunk) {
      bytes = Buffer.concat([bytes, chunk])
      const messages: Uint8Array[] = []
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32LE(0)) {
        messages.push(bytes.subarray(4, 4 + bytes.readUInt32LE(0)))
        bytes = bytes.subarray(4 + bytes.readUInt32LE(0))
      }
      return messages
    },
  }
}

export interface LabelReader {
  socket: Socket
  hellos: Record<string, unknown>[]
  labels: ReadLabels[]
  /** Why it ended, if it did. */
  ended: string | undefined
  /** The first labels that satisfy the condition. */
  hear(condition?: (labels: ReadLabels) => boolean): Promise<ReadLabels>
}

/** A reader on a Unix socket that takes all it is given. */
export function readLabelSocket(path: string): LabelReader {
  const socket = connect(path)
  const stream = streamMessages()
  const reader: LabelReader = {
    socket,
    hellos: [],
    labels: [],
    ended: undefined,
    hear: (condition = () => true) =>
      waitFor('labels', () => reader.labels.find(condition), {
        timeoutS: 60,
        context: () => `${reader.labels.length} labels, ended: ${reader.ended}`,
      }),
  }
  socket.on('data', chunk => {
    for (const bytes of stream.add(chunk)) {
      const message = readMessage(bytes)
      if (message.kind === 'hello') reader.hellos.push(message.hello)
      else reader.labels.push(message)
    }
  })
  socket.on('error', error => {
    reader.ended ??= error.message
  })
  socket.on('close', () => {
    reader.ended ??= 'closed'
  })
  return reader
}
