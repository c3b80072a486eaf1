import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { messageOf } from '@kestrel/runtime'
import { z } from 'zod'
import type { LabelledFrame } from './replay-buffer.js'
import { seal, unseal } from './sealed-file.js'
import type { Store } from './store.js'

const MAGIC = 'KFRAMES1'

/** Newest frames that are kept: some minutes of a calm scene, one of a changing one; enough for a phase to train on. */
const MAX_FRAMES = 64
const MAX_BYTES = 32e6

const side = z.number().int().positive().max(8192)
const headerSchema = z.strictObject({
  frames: z
    .array(z.strictObject({ timeMs: z.number(), width: side, height: side }))
    .min(1)
    .max(1000),
  /** Bytes of one image. */
  imageBytes: z.number().int().positive().max(MAX_BYTES),
})

interface SavedFile {
  name: string
  frames: number
  bytes: number
}

/**
 * The newest labelled frames of one drone in a store, so that a ground station that was killed need not wait for the replay buffer to fill
 * again: one piece for each segment, written once, the oldest forgotten beyond a bound. What is damaged is left out.
 */
export class SavedFrames {
  readonly #store: Store
  readonly #folder: string
  #files: SavedFile[] | undefined
  #next = 0

  /** @param folder begins their names, such as `scout-1.frames` */
  constructor(store: Store, folder: string) {
    this.#store = store
    this.#folder = folder
  }

  /**
   * What was saved by an earlier process, oldest first.
   *
   * @param options.imageBytes of a frame as the student needs it; others belong to another student
   * @param options.onDamaged told what was left out
   */
  async load(options: { imageBytes: number; onDamaged: (why: string) => void }): Promise<LabelledFrame[]> {
    const all: LabelledFrame[] = []
    this.#files = []
    for (const name of await this.#names()) {
      this.#next = Number.parseInt(name, 10) + 1
      const bytes = await this.#store.get(this.#path(name))
      if (bytes === undefined) continue
      try {
        const frames = decodeFrames(bytes, name)
        if (frames[0].image.length !== options.imageBytes) throw new Error('it belongs to another student')
        all.push(...frames)
        this.#files.push({ name, frames: frames.length, bytes: bytes.length })
      } catch (error) {
        options.onDamaged(messageOf(error))
        await this.#store.remove(this.#path(name))
      }
    }
    return all.toSorted((a, b) => a.timeMs - b.timeMs)
  }

  /** Keeps the frames of a segment, and forgets the oldest where there are too many. */
  async add(frames: readonly LabelledFrame[]): Promise<void> {
    if (frames.length === 0) return
    if (this.#files === undefined) await this.clear()
    const name = `${String(this.#next++).padStart(10, '0')}.frames`
    const bytes = encodeFrames(frames.slice(-MAX_FRAMES))
    // A power cut may cost some of them: its file fails the checksum then.
    await this.#store.put(this.#path(name), bytes, { durable: false })
    const files = [...(this.#files ?? []), { name, frames: frames.length, bytes: bytes.length }]
    const sum = (of: 'frames' | 'bytes') => files.reduce((total, file) => total + file[of], 0)
    while (files.length > 1 && (sum('frames') > MAX_FRAMES || sum('bytes') > MAX_BYTES))
      await this.#store.remove(this.#path(files.shift()!.name))
    this.#files = files
  }

  /** Forgets everything: it belongs to a state that is not gone on from. */
  async clear(): Promise<void> {
    for (const name of await this.#names()) await this.#store.remove(this.#path(name))
    this.#files = []
  }

  async #names(): Promise<string[]> {
    const all = await this.#store.list(`${this.#folder}/`)
    return all.map(path => path.slice(this.#folder.length + 1)).filter(name => /^\d{10}\.frames$/.test(name))
  }

  #path(name: string): string {
    return `${this.#folder}/${name}`
  }
}

export function encodeFrames(frames: readonly LabelledFrame[]): Uint8Array {
  const header: z.infer<typeof headerSchema> = {
    frames: frames.map(({ timeMs, labels: { width, height } }) => ({ timeMs, width, height })),
    imageBytes: frames[0].image.length,
  }
  const pixels = Buffer.concat(frames.flatMap(({ image, labels }) => [image, labels.data]))
  return seal(MAGIC, header, [deflateRawSync(pixels, { level: 1 })])
}

/** @throws UserError that says in what way the bytes are no saved frames */
export function decodeFrames(bytes: Uint8Array, source: string): LabelledFrame[] {
  const { header: given, sections } = unseal(bytes, { magic: MAGIC, source, what: 'file of labelled frames' })
  const { frames, imageBytes } = headerSchema.parse(given)
  const total = frames.reduce((sum, { width, height }) => sum + imageBytes + width * height, 0)
  const pixels = inflateRawSync(sections, { maxOutputLength: total })
  if (pixels.length !== total)
    throw new Error(`${source} holds ${pixels.length} bytes of pixels, not ${total}`)
  let at = 0
  const take = (length: number) => Uint8Array.from(pixels.subarray(at, (at += length)))
  return frames.map(({ timeMs, width, height }) => ({
    timeMs,
    image: take(imageBytes),
    labels: { width, height, data: take(width * height) },
  }))
}
