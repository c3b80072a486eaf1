import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { messageOf, UserError } from '@kestrel/runtime'
import type { FlightEntry } from './api.js'
import { logFormat, openLog } from './open-log.js'
import type { Recording } from './recording.js'

/** Flights that stay open, so that scrubbing opens nothing anew. */
const MAX_OPEN = 6
/** Flights of a folder that are listed, newest first. */
const MAX_LISTED = 2000

interface Source {
  id: string
  /** A flight's folder, or a file. */
  path: string
  /** Changes when somebody writes on. */
  state: string
}

interface Opened {
  state: string
  recording: Promise<Recording>
  users: number
  /** To be closed when nobody uses it any more. */
  gone: boolean
}

/** The flights of a folder, or of one file. Names from outside are only looked up in what was found there. */
export class FlightLibrary {
  readonly #root: string
  readonly #students: string[]
  readonly #mayBeAbsent: boolean
  readonly #opened = new Map<string, Opened>()
  readonly #entries = new Map<string, { state: string; entry: FlightEntry }>()

  /**
   * @param root a folder of flights, a flight's folder, or a file
   * @param options.students files in which a flight's student may be found
   * @param options.mayBeAbsent the folder comes with the first flight: until then there are none
   */
  constructor(root: string, options: { students?: string[]; mayBeAbsent?: boolean } = {}) {
    this.#root = root
    this.#mayBeAbsent = options.mayBeAbsent ?? false
    this.#students = options.students ?? []
  }

  get root(): string {
    return this.#root
  }

  /** Whether there is a single log to look at: the flight that pages open. */
  get single(): string | undefined {
    const sources = this.#sources()
    return sources.length === 1 ? sources[0].id : undefined
  }

  /** Newest first. A log that cannot be opened is listed with the reason. */
  async list(): Promise<FlightEntry[]> {
    const entries: FlightEntry[] = []
    for (const source of this.#sources().slice(0, MAX_LISTED)) {
      const known = this.#entries.get(source.id)
      if (known?.state === source.state) {
        entries.push(known.entry)
        continue
      }
      const entry = await this.#entry(source)
      this.#entries.set(source.id, { state: source.state, entry })
      entries.push(entry)
    }
    return entries.sort((a, b) => b.beginMs - a.beginMs)
  }

  /** Works with a flight, which stays open meanwhile. @throws UserError where there is no such flight, or it cannot be opened */
  async use<T>(id: string, work: (recording: Recording) => Promise<T>): Promise<T> {
    const source = this.#sources().find(one => one.id === id)
    if (source === undefined) throw new UserError(`There is no flight ${id} in ${this.#root}`)
    const opened = this.#open(source)
    opened.users += 1
    try {
      return await work(await opened.recording)
    } finally {
      opened.users -= 1
      if (opened.gone && opened.users === 0) await close(opened)
    }
  }

  async close(): Promise<void> {
    const all = [...this.#opened.values()]
    this.#opened.clear()
    await Promise.all(all.map(close))
  }

  #open(source: Source): Opened {
    let opened = this.#opened.get(source.id)
    if (opened !== undefined && opened.state !== source.state) {
      this.#letGo(source.id, opened)
      opened = undefined
    }
    opened ??= {
      state: source.state,
      recording: openLog(source.path, { students: this.#students }),
      users: 0,
      gone: false,
    }
    const failed = opened
    opened.recording.catch(() => {
      if (this.#opened.get(source.id) === failed) this.#opened.delete(source.id)
    })
    // Used last, forgotten last.
    this.#opened.delete(source.id)
    this.#opened.set(source.id, opened)
    for (const [id, other] of this.#opened) {
      if (this.#opened.size <= MAX_OPEN) break
      if (other !== opened) this.#letGo(id, other)
    }
    return opened
  }

  #letGo(id: string, opened: Opened): void {
    this.#opened.delete(id)
    opened.gone = true
    if (opened.users === 0) void close(opened)
  }

  async #entry(source: Source): Promise<FlightEntry> {
    try {
      return await quickEntry(source, this.#students)
    } catch (error) {
      const { size, mtimeMs } = statSync(source.path)
      return {
        id: source.id,
        kind: 'kestrel',
        drone: '',
        ...{ beginMs: mtimeMs, endMs: mtimeMs, dated: false, bytes: size, complete: false },
        ...{ updates: 0, refused: 0, events: 0 },
        problem: messageOf(error),
      }
    }
  }

  /** @throws UserError where there is nothing */
  #sources(): Source[] {
    const root = this.#root
    const about = statSync(root, { throwIfNoEntry: false })
    if (about === undefined && this.#mayBeAbsent) return []
    if (about === undefined) throw new UserError(`There is no log or folder ${root}`)
    if (!about.isDirectory()) return [{ id: basename(root), path: root, state: stateOf(root) }]
    if (mcaps(root).length > 0 && folders(root).every(name => mcaps(join(root, name)).length === 0)) {
      // Of one flight.
      return [{ id: basename(root), path: root, state: stateOf(root) }]
    }
    const found = [
      ...folders(root).filter(name => mcaps(join(root, name)).length > 0),
      ...readdirSync(root).filter(name => /\.(mcap|tlog|ulg)$/i.test(name)),
    ]
    return found
      .sort()
      .reverse()
      .map(name => ({ id: name, path: join(root, name), state: stateOf(join(root, name)) }))
  }
}

/** @throws UserError where the log cannot be opened */
async function quickEntry({ id, path }: Source, students: string[]): Promise<FlightEntry> {
  const about = statSync(path)
  const format = about.isDirectory() ? 'mcap' : logFormat(path)
  if (format === undefined || format === 'mcap') {
    const recording = await openLog(path, { students })
    try {
      return { ...recording.entry(), id }
    } finally {
      await recording.close()
    }
  }
  // To know more, all of it would have to be read.
  return {
    id,
    kind: format,
    drone: format === 'ulog' ? 'PX4 log' : 'telemetry log',
    ...{ beginMs: about.mtimeMs, endMs: about.mtimeMs, dated: false, bytes: about.size, complete: true },
    ...{ updates: 0, refused: 0, events: 0 },
  }
}

function folders(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
}

function mcaps(dir: string): string[] {
  return readdirSync(dir).filter(name => name.endsWith('.mcap'))
}

function stateOf(path: string): string {
  const files = statSync(path).isDirectory() ? mcaps(path).map(name => join(path, name)) : [path]
  return files
    .map(file => {
      const { size, mtimeMs } = statSync(file)
      return `${size}@${mtimeMs}`
    })
    .join(' ')
}

async function close(opened: Opened): Promise<void> {
  await opened.recording.then(
    recording => recording.close(),
    () => undefined,
  )
}
