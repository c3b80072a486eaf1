import { promisify } from 'node:util'
import { deflate, type ZlibOptions } from 'node:zlib'
import { crc32 } from '@foxglove/crc'
import { type Colour, IGNORE, type LabelMap, resizeLabels } from '@kestrel/models'
import { decode } from 'fast-png'

const deflateLater = promisify<Uint8Array, ZlibOptions, Buffer>(deflate)

/** Labels are logged no wider than this: what a picture beside others shows. */
export const MAX_LABEL_WIDTH = 256

/** The size at which labels are logged. */
export function logSize({ width, height }: { width: number; height: number }): {
  width: number
  height: number
} {
  if (width <= MAX_LABEL_WIDTH) return { width, height }
  return { width: MAX_LABEL_WIDTH, height: Math.max(1, Math.round((height * MAX_LABEL_WIDTH) / width)) }
}

/**
 * Labels as a palette PNG that any viewer shows: its indices are the classes, and one more that is transparent stands for what has no
 * label. Deflates off the thread. (fast-png reads such pictures, but writes their transparency out of step with the palette.)
 */
export async function encodeLabelPicture(map: LabelMap, palette: Colour[]): Promise<Uint8Array> {
  const { width, height } = logSize(map)
  const { data } = resizeLabels(map, width, height)
  const none = palette.length
  const rows = Buffer.alloc(height * (width + 1))
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    to++
    for (let x = 0; x < width; x++) rows[to++] = Math.min(data[from++], none)
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 3], 8)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    part('IHDR', head),
    part('PLTE', Uint8Array.from([...palette.flat(), 0, 0, 0])),
    part('tRNS', Uint8Array.from([...palette.map(() => 255), 0])),
    part('IDAT', await deflateLater(rows, { level: 6 })),
    part('IEND', new Uint8Array(0)),
  ])
}

/** The labels of a picture that `encodeLabelPicture` made. @throws Error for another picture */
export function decodeLabelPicture(png: Uint8Array): LabelMap {
  const { width, height, data, palette, depth, channels } = decode(png)
  if (palette === undefined || depth !== 8 || channels !== 1) throw new Error('it is no label picture')
  const none = palette.length - 1
  const labels = Uint8Array.from(data as Uint8Array, index => (index === none ? IGNORE : index))
  return { width, height, data: labels }
}

/** A chunk of a PNG file (PNG specification, section 5.3). */
function part(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length)
  bytes.writeUInt32BE(data.length, 0)
  bytes.write(type, 4, 'latin1')
  bytes.set(data, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length)
  return bytes
}
