import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type LabelMap, type RgbImage, readClassList } from '@kestrel/models'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import { decode } from 'fast-png'
import { teacherTable } from './classes.js'
import type { FrameReference, Teacher } from './teacher.js'

/** Label pictures are small; a larger file is no label picture. */
const MAX_PNG_BYTES = 64 * 1024 * 1024

/**
 * A folder of labels as a teacher: `classes.json` and 8-bit PNGs whose pixels are class indices, one for each frame of the
 * source, in natural order (2.png before 10.png). This is how human labels and precomputed teachers are used.
 *
 * @throws UserError where the folder, its classes or the first picture cannot be used
 */
export async function openLabelFolder(
  dir: string,
  options: { studentClasses: string[]; log: Log },
): Promise<Teacher> {
  const files = labelFiles(dir)
  const list = join(dir, 'classes.json')
  if (!existsSync(list)) {
    throw new UserError(
      `${dir} has no classes.json: {"classes": ["sky", …], "ignore": 255} says what the labels mean`,
    )
  }
  const { classes, ignore } = readClassList(list)
  const table = teacherTable({ source: list, classes, ignore, ...options })
  const { width, height } = readLabelPng(files[0])
  return {
    classes,
    atCameraSize: true,
    async label(_image: RgbImage, { sourceIndex }: FrameReference): Promise<LabelMap> {
      const file = files[sourceIndex]
      if (file === undefined) {
        throw new UserError(
          `${dir} has no label for frame ${sourceIndex}: there are ${files.length}, from ${basename(files[0])} to ` +
            `${basename(files[files.length - 1])}; labels and frames must be of the same recording, one label a frame`,
        )
      }
      const map = readLabelPng(file)
      if (map.width !== width || map.height !== height) {
        throw new UserError(
          `${file} is ${map.width}x${map.height} but ${basename(files[0])} is ${width}x${height}: ` +
            'all labels of a folder must have one size',
        )
      }
      return { width, height, data: map.data.map(label => table[label]) }
    },
    async release() {},
  }
}

function labelFiles(dir: string): string[] {
  let names: string[]
  try {
    names = readdirSync(dir)
  } catch (cause) {
    throw new UserError(`Cannot read the folder of labels ${dir}: ${messageOf(cause)}`, { cause })
  }
  const pngs = names.filter(name => /\.png$/i.test(name))
  if (pngs.length === 0)
    throw new UserError(`${dir} has no PNG in it; labels are 8-bit PNGs, one for each frame`)
  const { compare } = new Intl.Collator('en', { numeric: true })
  return pngs.sort(compare).map(name => join(dir, name))
}

/**
 * Reads an 8-bit PNG of class indices, grey or with a palette (then the indices into it count).
 *
 * @throws UserError where it is something else
 */
export function readLabelPng(file: string): LabelMap {
  try {
    if (statSync(file).size > MAX_PNG_BYTES) throw new Error(`the file is larger than ${MAX_PNG_BYTES} bytes`)
    const { width, height, depth, channels, data } = decode(readFileSync(file))
    if (depth !== 8 || channels !== 1) {
      throw new Error(
        `it has ${channels} channel${channels === 1 ? '' : 's'} of ${depth} bits; ` +
          'expected one channel of 8 bits that holds the class index (not colours)',
      )
    }
    return { width, height, data: Uint8Array.from(data) }
  } catch (cause) {
    throw new UserError(`${file} is no label picture: ${messageOf(cause)}`, { cause })
  }
}
