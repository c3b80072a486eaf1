import { parentPort } from 'node:worker_threads'
import { encodeSegment } from '@kestrel/link'
import { messageOf } from '@kestrel/runtime'
import { lowerPriority } from '../student/thread-priority.js'
import type { EncodeAnswer, EncodeJob } from './encoding.js'

// Entry point of the encoding thread. The codec's own threads inherit its low priority.
const port = parentPort!
lowerPriority()
port.on('message', async ({ id, images, options }: EncodeJob) => {
  let answer: EncodeAnswer
  try {
    answer = { id, bytes: await encodeSegment(images, options) }
  } catch (error) {
    answer = { id, error: messageOf(error) }
  }
  port.postMessage(answer)
})
