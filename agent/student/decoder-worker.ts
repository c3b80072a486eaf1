import { parentPort, workerData } from 'node:worker_threads'
import { loadStudent, UpdateRefused } from '@kestrel/models'
import { messageOf } from '@kestrel/runtime/errors'
import type { DecodeReply, DecodeRequest, DecoderStart } from './decoder-thread.js'
import { idlePriority } from './thread-priority.js'
import { inProcessDecoder } from './update-decoder.js'

// Entry point of the thread that verifies updates: SHA-256 and entropy decoding of megabytes, which must delay nobody.
const port = parentPort!
const { bytes, source, classes } = workerData as DecoderStart
const decoder = inProcessDecoder(loadStudent(bytes, { source, classes }))

port.on('message', async ({ data, base }: DecodeRequest) => {
  idlePriority()
  try {
    const decoded = await decoder.decode(data, base)
    // Shared, so that it can come back as the base of the next update without being copied.
    const parameters = new Float32Array(new SharedArrayBuffer(decoded.parameters.byteLength))
    parameters.set(decoded.parameters)
    const reply: DecodeReply = { ok: true, decoded: { ...decoded, parameters } }
    port.postMessage(reply, [decoded.bytes.buffer as ArrayBuffer])
  } catch (error) {
    const reason = error instanceof UpdateRefused ? error.reason : undefined
    port.postMessage({ ok: false, reason, message: messageOf(error) } satisfies DecodeReply)
  }
})
