import { type ChildProcess, spawn } from 'node:child_process'
import { PictureDecoder, type PixelFormat, pictureBytes, pixelFormats, type RawPicture } from '@kestrel/link'
import { type Clock, messageOf, UserError } from '@kestrel/runtime'
import type { LivePicture, LiveSource, LiveStream } from './live-source.js'
import { JpegSplitter, RawSplitter, type Splitter } from './splitter.js'

/** How long a command may take until its first picture, ms: sensors and ISPs take some seconds to start. */
const FIRST_MS = 15_000
/** How long a command may take to end when asked to, ms. */
const END_MS = 2000
/** What the shell returns where a command is not found, or cannot be run (POSIX, 2.8.2). */
const NOT_RUNNABLE = [126, 127]
/** Of what a command says, characters. */
const MAX_LINE = 300

export interface ExecOptions {
  /** `mjpeg` or how the pixels lie. */
  format?: string
  /** Needed where the pictures are not JPEGs. */
  width?: number
  height?: number
  fps?: number
  clock: Clock
}

/** A command of the shell that writes pictures to its standard output: how CSI cameras are used. */
export class ExecSource implements LiveSource {
  readonly name: string
  readonly #command: string
  readonly #raw: RawPicture | undefined
  readonly #fps: number | undefined
  readonly #clock: Clock

  /** @throws UserError where the format or the size is missing */
  constructor(command: string, options: ExecOptions) {
    this.#command = command
    this.#raw = rawPicture(options)
    this.#fps = options.fps
    this.#clock = options.clock
    const [program] = command.trim().split(/\s/)
    this.name = `exec:${program}`
  }

  async open(signal: AbortSignal): Promise<LiveStream> {
    const stream = new ExecStream(this.#command, {
      name: this.name,
      raw: this.#raw,
      fps: this.#fps,
      clock: this.#clock,
    })
    const waiting = new AbortController()
    const ended = () => waiting.abort()
    signal.addEventListener('abort', ended, { once: true })
    try {
      const late = this.#clock.sleep(FIRST_MS, waiting.signal).then(() => {
        throw new Error(
          signal.aborted
            ? 'stopped'
            : `the command gave no picture within ${FIRST_MS / 1000} s${stream.lastWords}`,
        )
      })
      late.catch(() => undefined)
      const first = stream.begin()
      first.catch(() => undefined)
      await Promise.race([first, late])
      return stream
    } catch (error) {
      await stream.close()
      if (stream.exitCode !== undefined && NOT_RUNNABLE.includes(stream.exitCode)) {
        throw new UserError(`The camera's command cannot be run${stream.lastWords}: ${this.#command}`, {
          cause: error,
        })
      }
      throw error
    } finally {
      signal.removeEventListener('abort', ended)
      waiting.abort()
    }
  }
}

function rawPicture({ format, width, height }: ExecOptions): RawPicture | undefined {
  const name = format?.toLowerCase()
  if (name === 'mjpeg') return undefined
  const known = `mjpeg, ${pixelFormats.join(', ')}`
  if (name === undefined) {
    throw new UserError(`An exec: camera needs camera.format, what its command writes: one of ${known}`)
  }
  if (!(pixelFormats as string[]).includes(name)) {
    throw new UserError(`camera.format is ${format}: an exec: camera takes one of ${known}`)
  }
  if (width === undefined || height === undefined) {
    throw new UserError(`An exec: camera that writes ${name} needs camera.width and camera.height, in pixels`)
  }
  const picture = { format: name as PixelFormat, width, height }
  try {
    pictureBytes(picture)
  } catch (cause) {
    throw new UserError(messageOf(cause), { cause })
  }
  return picture
}

class ExecStream implements LiveStream {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #splitter: Splitter
  readonly #raw: RawPicture | undefined
  readonly #clock: Clock
  readonly #decoder = new PictureDecoder()
  readonly fps?: number
  #size = { width: 0, height: 0 }
  #newest: { bytes: Uint8Array; captureMs: number } | undefined
  /** The picture that `begin` decoded: it is not decoded again. */
  #first: LivePicture | undefined
  #wake: (() => void) | undefined
  #failure: Error | undefined
  #decoding: Promise<unknown> | undefined
  #said = ''
  #lost = 0
  readonly #exited: Promise<void>
  readonly #onExit = () => this.#signal('SIGKILL')

  constructor(command: string, options: { name: string; raw?: RawPicture; fps?: number; clock: Clock }) {
    const { name, raw, fps, clock } = options
    this.#name = name
    this.#raw = raw
    this.fps = fps
    this.#clock = clock
    this.#splitter = raw === undefined ? new JpegSplitter() : new RawSplitter(pictureBytes(raw))
    // A process group of its own, so that all parts of a pipeline end together.
    const child = spawn('/bin/sh', ['-c', command], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    process.on('exit', this.#onExit)
    this.#exited = new Promise(resolve => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    child.stdout?.on('data', piece => this.#take(piece))
    child.stderr?.setEncoding('utf8').on('data', text => this.#listen(text))
    // By then all that it wrote has been read.
    child.once('close', (code, signal) => {
      this.#fail(new Error(`the command ended (${signal ?? `exit code ${code}`})${this.lastWords}`))
    })
    child.once('error', error => this.#fail(error))
  }

  get description(): string {
    const { width, height } = this.#size
    const rate = this.fps === undefined ? '' : `, ${Number(this.fps.toFixed(2))} fps`
    return `${this.#name} (${this.#raw?.format ?? 'mjpeg'} ${width}x${height}${rate})`
  }

  get width(): number {
    return this.#size.width
  }

  get height(): number {
    return this.#size.height
  }

  get lost(): number {
    return this.#lost
  }

  get exitCode(): number | undefined {
    return this.#child.exitCode ?? undefined
  }

  /** The last line that the command wrote to its standard error, for messages. */
  get lastWords(): string {
    const line = this.#said
      .split('\n')
      .map(text => text.trim())
      .filter(text => text !== '')
      .at(-1)
    return line === undefined ? '' : `: ${line.slice(0, MAX_LINE)}`
  }

  /** What came in place of a picture, for messages. */
  get rubbish(): string {
    const { skipped } = this.#splitter
    return `${skipped > 0 ? ` (${skipped} bytes that are no JPEG)` : ''}${this.lastWords}`
  }

  /** Waits for the first whole picture, which tells the size. */
  async begin(): Promise<void> {
    for (;;) {
      const picture = await this.read()
      try {
        const image = await picture.decode()
        this.#size = { width: image.width, height: image.height }
        this.#first = { captureMs: picture.captureMs, decode: async () => image }
        return
      } catch {
        this.#lost += 1
      }
    }
  }

  async read(): Promise<LivePicture> {
    const first = this.#first
    this.#first = undefined
    if (first !== undefined && this.#newest === undefined) return first
    for (;;) {
      const newest = this.#newest
      if (newest !== undefined) {
        this.#newest = undefined
        return { captureMs: newest.captureMs, decode: () => this.#decode(newest.bytes) }
      }
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  async close(): Promise<void> {
    this.#fail(new Error('the camera was closed'))
    this.#signal('SIGTERM')
    const timer = setTimeout(() => this.#signal('SIGKILL'), END_MS)
    await this.#exited
    clearTimeout(timer)
    // Parts of a pipeline may outlive its shell.
    this.#signal('SIGKILL')
    process.off('exit', this.#onExit)
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
    await this.#decoding
    this.#decoder.dispose()
  }

  #take(piece: Uint8Array): void {
    const pictures = this.#splitter.push(piece)
    const bytes = pictures.at(-1)
    if (bytes === undefined) return
    this.#lost += pictures.length - 1 + (this.#newest === undefined ? 0 : 1)
    this.#newest = { bytes, captureMs: this.#clock.nowMs() }
    this.#wake?.()
  }

  #listen(text: string): void {
    this.#said = (this.#said + text).slice(-4 * MAX_LINE)
  }

  #decode(bytes: Uint8Array) {
    const decoding =
      this.#raw === undefined ? this.#decoder.decodeJpeg(bytes) : this.#decoder.decodeRaw(bytes, this.#raw)
    this.#decoding = decoding.catch(() => undefined)
    return decoding
  }

  #fail(failure: Error): void {
    this.#failure ??= failure
    this.#wake?.()
  }

  /** To the whole process group. */
  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // All of it has ended.
    }
  }
}
