import { type EncoderKind, tryEncoder } from '@kestrel/link'
import { messageOf } from '@kestrel/runtime'
import type { SegmentCodec } from './encoding.js'

// Entry point of the process that tries an encoder: CODEC KIND. Exit code 0: it works; otherwise it says why not.
const [codec, kind] = process.argv.slice(2)
try {
  await tryEncoder(codec as SegmentCodec, kind as EncoderKind)
  process.exit(0)
} catch (error) {
  if (process.send === undefined) throw error
  process.send(messageOf(error), () => process.exit(1))
}
