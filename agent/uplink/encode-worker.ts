import { parentPort } from 'node:worker_threads'
import { encodeSegment } from '@kestrel/link/segment'
import type { RgbImage } from '@kestrel/models'
import { messageOf } from '@kestrel/runtime/errors'
import { lowerPriority } from '../student/thread-priority.js'
import type { EncodeAnswer, EncodeJob, EncodeOptions } from './encoding.js'

// Entry point of the encoding thread. The codec's own threads inherit its low priority.
const port = parentPort!
lowerPriority()
port.on('message', async ({ id, images, options }: EncodeJob) => {
  let answer: EncodeAnswer
  try {
    answer = { id, ...(await encode(images, options)) }
  } catch (error) {
    answer = { id, error: messageOf(error) }
  }
  port.postMessage(answer)
})

/** A hardware encoder that fails costs time, but no segment. */
async function encode(
  images: RgbImage[],
  options: EncodeOptions,
): Promise<{ bytes: Uint8Array; failed?: string }> {
  const { encoder = 'software' } = options
  if (encoder === 'software') return { bytes: await encodeSegment(images, options) }
  try {
    return { bytes: await encodeSegment(images, options) }
  } catch (error) {
    return {
      bytes: await encodeSegment(images, { ...options, encoder: 'software' }),
      failed: messageOf(error),
    }
  }
}
