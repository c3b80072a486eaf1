import { gzipSync } from 'node:zlib'
import type { LabelMap } from '@kestrel/models'

/**
 * Labels as pages read them (web/shared/labels.ts): width and height as uint16, little-endian, then a byte for each pixel. Bytes
 * rather than a picture, since browsers that guard against fingerprints alter the pixels that are read back from one.
 *
 * @returns gzip of it: a fiftieth of the size
 */
export function packLabels({ width, height, data }: LabelMap): Uint8Array<ArrayBuffer> {
  const packed = Buffer.alloc(4 + data.length)
  packed.writeUInt16LE(width, 0)
  packed.writeUInt16LE(height, 2)
  packed.set(data, 4)
  return new Uint8Array(gzipSync(packed, { level: 5 }))
}
