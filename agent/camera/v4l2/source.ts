import { type Clock, UserError } from '@kestrel/runtime'
import type { LiveSource, LiveStream } from '../live-source.js'
import { type Kernel, SystemError } from './kernel.js'
import { stableNames } from './list.js'
import { identify, listFormats } from './modes.js'
import { chooseMode, type WantedMode } from './negotiate.js'
import { explain } from './reasons.js'
import { V4l2Stream } from './stream.js'

/** A V4L2 device. Opened again, it is looked for by its stable name first: another number is usual after re-plugging. */
export class V4l2Source implements LiveSource {
  readonly name: string
  readonly #path: string
  readonly #wanted: WantedMode
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #dev: string
  /** What it was called when it was last there. */
  #stable: string | undefined
  /** Of the camera that was opened first: another one that took its number is not it. */
  #card: string | undefined

  /** @param options.dev where devices lie, other than /dev in tests */
  constructor(path: string, options: { wanted: WantedMode; kernel: Kernel; clock: Clock; dev?: string }) {
    this.name = path
    this.#path = path
    this.#wanted = options.wanted
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.#dev = options.dev ?? '/dev'
  }

  async open(): Promise<LiveStream> {
    const paths = this.#stable === undefined ? [this.#path] : [this.#stable, this.#path]
    let failure: unknown
    for (const path of paths) {
      try {
        return this.#openAt(path)
      } catch (error) {
        if (error instanceof UserError) throw error
        // Of two reasons the one that says more than that nothing is there.
        if (failure === undefined || !(error instanceof SystemError && error.code === 'ENOENT'))
          failure = error
      }
    }
    throw explain(failure)
  }

  #openAt(path: string): LiveStream {
    const kernel = this.#kernel
    const fd = kernel.open(path)
    try {
      const { card, captures } = this.#identify(fd, path)
      if (!captures) {
        throw new UserError(
          `${path} (${card}) takes no pictures; a camera often has a second node, which does: see \`kestrel-agent cameras\``,
        )
      }
      if (this.#card !== undefined && card !== this.#card) {
        throw new Error(`${path} is another camera now (${card})`)
      }
      const mode = chooseMode(listFormats(kernel, fd), this.#wanted, `${path} (${card})`)
      const stream = V4l2Stream.start(fd, { kernel, clock: this.#clock, mode, card, device: path })
      this.#card = card
      this.#stable = stableNames(path, this.#dev)[0]
      return stream
    } catch (error) {
      kernel.close(fd)
      throw error
    }
  }

  #identify(fd: number, path: string) {
    try {
      return identify(this.#kernel, fd)
    } catch (error) {
      if (error instanceof SystemError && (error.code === 'ENOTTY' || error.code === 'EINVAL')) {
        throw new UserError(`${path} is no camera: expected a V4L2 device such as /dev/video0`, {
          cause: error,
        })
      }
      throw error
    }
  }
}
