import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Program } from './debian-package.js'
import { waitFor } from './processes.js'

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A server of the distribution that a test starts, kills and starts again. */
export class Daemon {
  readonly #program: Program
  readonly #args: string[]
  readonly #ready: RegExp
  #child: ChildProcess | undefined
  #text = ''

  /** @param ready what it writes once it takes connections */
  constructor(program: Program, args: string[], ready: RegExp) {
    this.#program = program
    this.#args = args
    this.#ready = ready
  }

  /** What it has written since it was started. */
  get output(): string {
    return this.#text
  }

  async start(): Promise<void> {
    const { path, env } = this.#program
    const child = spawn(path, this.#args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    this.#child = child
    this.#text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', data => {
        this.#text += String(data)
      })
    }
    const context = () => this.#text
    await waitFor(path, () => this.#ready.exec(this.#text) ?? undefined, { timeoutS: 60, context })
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || !running.delete(child)) return
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}
