import type { DescMessage } from '@bufbuild/protobuf'
import { type Clock, messageOf } from '@kestrel/runtime'
import { Chunk } from './mcap/chunk.js'
import type { LogStorage } from './mcap/storage.js'
import { McapFile } from './mcap/writer.js'
import { chunkGroup, descriptorSet } from './schemas.js'
import { nsOf } from './time.js'

/** Chunks are closed this often: it is what a cut costs, and with the time that writing takes must stay under a second. */
const CHUNK_MS = 250
/** … and when they are this large, bytes. */
const CHUNK_BYTES = 1024 * 1024
/** Written data is forced to the disk this often: what a power cut costs. */
const SYNC_MS = 5000
/** After a failure, how long until it is tried again; and how often with the same file, unless the disk is full. */
const RETRY_MS = 5000
const MOST_FAILURES = 2
/** How long the last messages may take to be written. */
const STOP_MS = 10_000

export interface LogQueueOptions {
  storage: LogStorage
  /** Of the n-th file, from 1. */
  path: (part: number) => string
  /** A file is ended, and another begun, beyond. */
  maxFileBytes: number
  maxFileMs: number
  /** Bytes that may wait for the disk; beyond, the oldest go. */
  maxWaitingBytes: number
  /** Called with each new file, and with each that is about to end. */
  onOpen: (file: McapFile) => Promise<void>
  onEnd: (file: McapFile) => Promise<void>
  /** Writing failed (why, in a sentence); and it works again: messages lost meanwhile. */
  onTrouble: (reason: string) => void
  onResumed: (lost: number) => void
  clock: Clock
}

/**
 * Messages on their way to the disk: collected into chunks, written one batch at a time by the system's own threads. `add` never waits and
 * never throws; a disk that is slow, full or broken costs the oldest messages, which are counted, and nothing else.
 */
export class LogQueue {
  readonly #options: LogQueueOptions
  readonly #channels = new Map<string, { id: number; schema: DescMessage; sequence: number; group: string }>()
  readonly #stopped = new AbortController()
  /** By group. */
  #open = new Map<string, Chunk>()
  #waiting: Chunk[] = []
  #waitingBytes = 0
  #lost = 0
  #lostBefore = 0
  #file: McapFile | undefined
  #fileMs = 0
  #part = 0
  #endedBytes = 0
  #syncedMs = 0
  #held = false
  #failures = 0
  #trouble: string | undefined
  #retryMs = Number.NEGATIVE_INFINITY
  #writing: Promise<void> | undefined
  #beating: Promise<void> | undefined

  constructor(options: LogQueueOptions) {
    this.#options = options
  }

  /** Messages that were lost so far. */
  get lost(): number {
    return this.#lost
  }

  /** Why nothing is written, while it is so. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Bytes in files so far. */
  get bytes(): number {
    return this.#endedBytes + (this.#file?.bytes ?? 0)
  }

  start(): void {
    this.#beating = this.#beat()
    this.#kick()
  }

  /** Writes what waits and ends the file; gives up after ten seconds. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.#stopped.abort()
    await this.#beating
    this.#seal()
    const late = new AbortController()
    const finish = async () => {
      await this.#writing
      if (!this.#held) {
        this.#retryMs = Number.NEGATIVE_INFINITY
        await this.#drain()
      }
      if (this.#file !== undefined) await this.#end(this.#file)
    }
    await Promise.race([finish(), this.#options.clock.sleep(STOP_MS, late.signal)])
    late.abort()
  }

  /** Nothing is written while there is no room for it. @param why a sentence; undefined: there is room */
  hold(why: string | undefined): void {
    this.#held = why !== undefined
    if (why !== undefined) this.#fail(why)
    else if (this.#trouble !== undefined) this.#retryMs = Number.NEGATIVE_INFINITY
  }

  /**
   * Takes a message. The bytes are kept until they are written: they must not change.
   *
   * @param timeMs Unix time under which it is found
   */
  add(topic: string, schema: DescMessage, timeMs: number, data: Uint8Array): void {
    if (this.#stopped.signal.aborted) return
    const channel = this.#channel(topic, schema)
    const chunk = this.#open.get(channel.group) ?? new Chunk()
    this.#open.set(channel.group, chunk)
    chunk.add(channel.id, channel.sequence++, nsOf(timeMs), data)
    if (chunk.bytes < CHUNK_BYTES) return
    this.#push(chunk)
    this.#open.delete(channel.group)
    this.#kick()
  }

  #channel(topic: string, schema: DescMessage): { id: number; sequence: number; group: string } {
    const known = this.#channels.get(topic)
    if (known !== undefined) return known
    const channel = { id: this.#channels.size, schema, sequence: 0, group: chunkGroup(topic) }
    this.#channels.set(topic, channel)
    return channel
  }

  #define(file: McapFile): void {
    for (const [topic, { id, schema }] of this.#channels) {
      if (file.knows(id)) continue
      file.define(id, { topic, schema: { name: schema.typeName, data: descriptorSet(schema) } })
    }
  }

  async #beat(): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#stopped
    for (;;) {
      await clock.sleep(CHUNK_MS, signal)
      if (signal.aborted) return
      this.#seal()
      this.#kick()
    }
  }

  #seal(): void {
    for (const chunk of this.#open.values()) this.#push(chunk)
    this.#open.clear()
  }

  #push(chunk: Chunk): void {
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.bytes
    this.#trim()
  }

  #trim(): void {
    while (this.#waitingBytes > this.#options.maxWaitingBytes && this.#waiting.length > 0) {
      const { bytes, messages } = this.#waiting.shift()!
      this.#waitingBytes -= bytes
      this.#lost += messages
    }
  }

  #kick(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined
    })
  }

  async #drain(): Promise<void> {
    const { clock } = this.#options
    // The first time there is nothing to write yet but the head of the file.
    while ((this.#waiting.length > 0 || this.#part === 0) && !this.#held && clock.nowMs() >= this.#retryMs) {
      const batch = this.#waiting
      this.#waiting = []
      this.#waitingBytes = 0
      try {
        this.#file ??= await this.#begin()
        // Topics may have come while it was being begun.
        this.#define(this.#file)
        await this.#file.write(batch)
      } catch (error) {
        this.#waiting = [...batch, ...this.#waiting]
        this.#waitingBytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0)
        this.#trim()
        await this.#failed(error)
        return
      }
      this.#resumed()
      await this.#care(this.#file)
    }
  }

  async #begin(): Promise<McapFile> {
    const { storage, path, onOpen, clock } = this.#options
    const file = await McapFile.create(path(this.#part + 1), storage)
    this.#part += 1
    this.#fileMs = this.#syncedMs = clock.nowMs()
    try {
      await onOpen(file)
    } catch (error) {
      await file.close()
      await storage.remove(file.path).catch(() => undefined)
      this.#part -= 1
      throw error
    }
    return file
  }

  /** Forces to the disk what is due, and ends a file that is long enough. */
  async #care(file: McapFile): Promise<void> {
    const { clock, maxFileBytes, maxFileMs } = this.#options
    const nowMs = clock.nowMs()
    if (file.bytes >= maxFileBytes || nowMs - this.#fileMs >= maxFileMs) await this.#end(file)
    else if (nowMs - this.#syncedMs >= SYNC_MS) {
      this.#syncedMs = nowMs
      await file.sync().catch(error => this.#failed(error))
    }
  }

  /** What cannot be ended is left as it is: it can be read, and mended later. */
  async #end(file: McapFile): Promise<void> {
    this.#file = undefined
    this.#endedBytes += file.bytes
    try {
      await this.#options.onEnd(file)
    } catch {
      await file.close().catch(() => undefined)
      return
    }
    await file.finish().catch(() => undefined)
  }

  async #failed(error: unknown): Promise<void> {
    const isFull = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException)?.code ?? '')
    this.#failures += 1
    if (!isFull && this.#failures >= MOST_FAILURES && this.#file !== undefined) {
      // The disk may be another one when it comes back.
      this.#endedBytes += this.#file.bytes
      await this.#file.close().catch(() => undefined)
      this.#file = undefined
    }
    this.#retryMs = this.#options.clock.nowMs() + RETRY_MS
    this.#fail(isFull ? 'the disk is full' : messageOf(error))
  }

  #fail(reason: string): void {
    if (this.#trouble === undefined) {
      this.#lostBefore = this.#lost
      this.#options.onTrouble(reason)
    }
    this.#trouble = reason
  }

  #resumed(): void {
    this.#failures = 0
    if (this.#trouble === undefined) return
    this.#trouble = undefined
    this.#options.onResumed(this.#lost - this.#lostBefore)
  }
}
