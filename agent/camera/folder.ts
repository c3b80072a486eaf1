import { readdir } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { decodeStill, stillExtensions } from '@kestrel/link'
import { messageOf, UserError } from '@kestrel/runtime'
import type { FrameSource } from './source.js'

/** `frame9.jpg` before `frame10.jpg`; what it takes for equal (`9` and `09`) by their characters. */
const natural = new Intl.Collator('en', { numeric: true })

/**
 * A folder of pictures (JPEG, PNG, WebP), in the natural order of their names, all of one size.
 *
 * @param options.fps at which rate they were taken; a folder cannot say
 * @throws UserError that says what is missing; while reading, one that names the picture that cannot be used
 */
export async function openFolder(path: string, options: { fps?: number }): Promise<FrameSource> {
  const { fps } = options
  const names = await listPictures(path)
  if (fps === undefined) {
    throw new UserError(
      `${path} is a folder of ${names.length} pictures, and their rate is missing: say how many a second were taken (fps)`,
    )
  }
  const { width, height } = await decodeStill(join(path, names[0]))
  return {
    name: basename(path),
    fps,
    width,
    height,
    async *read() {
      for (const [index, name] of names.entries()) {
        const image = await decodeStill(join(path, name))
        if (image.width !== width || image.height !== height) {
          throw new UserError(
            `The pictures of ${path} are not of one size: ${names[0]} is ${width}x${height}, ${name} is ${image.width}x${image.height}. Scale or remove it`,
          )
        }
        yield { image, ptsMs: (1000 * index) / fps, index }
      }
    },
  }
}

async function listPictures(path: string): Promise<string[]> {
  let entries: string[]
  try {
    entries = await readdir(path)
  } catch (cause) {
    throw new UserError(`Cannot read the folder ${path}: ${messageOf(cause)}`, { cause })
  }
  const names = entries.filter(
    name => !name.startsWith('.') && stillExtensions.includes(extname(name).toLowerCase()),
  )
  if (names.length === 0) {
    const found = entries.length === 0 ? 'it is empty' : `it holds ${entries.slice(0, 3).join(', ')}`
    throw new UserError(
      `${path} has no frames: expected pictures (${stillExtensions.join(', ')}), but ${found}${entries.length > 3 ? ', …' : ''}`,
    )
  }
  return names.sort((a, b) => natural.compare(a, b) || (a < b ? -1 : 1))
}
