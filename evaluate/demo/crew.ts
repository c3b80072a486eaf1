import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { setPriority } from 'node:os'
import { isAbsolute, join, relative } from 'node:path'
import { createInterface } from 'node:readline'

export interface Member {
  name: string
  /** Of the repository, such as `agent/bin/kestrel-agent.js`; or another program, by its whole path. */
  bin: string
  args: string[]
  /** Niceness: agents first, training with what is left. */
  nice: number
}

/** The processes of the demo. They end with it, however it ends: their standard input closes. */
export class Crew {
  readonly #root: string
  readonly #dir: string
  readonly #onLost: (member: Member, how: string, command: string) => void
  readonly #running = new Map<string, { child: ChildProcess; log: WriteStream; ended: Promise<void> }>()
  readonly #lastLines = new Map<string, string>()
  #stopping = false

  /** @param options.onLost a process has ended that should not; `command` starts it again */
  constructor(options: {
    root: string
    dir: string
    onLost: (member: Member, how: string, command: string) => void
  }) {
    this.#root = options.root
    this.#dir = options.dir
    this.#onLost = options.onLost
    process.once('exit', () => {
      for (const { child } of this.#running.values()) child.kill('SIGKILL')
    })
  }

  start(member: Member): void {
    const { name, bin, args, nice } = member
    const log = createWriteStream(join(this.#dir, `${name}.log`))
    const isOurs = !isAbsolute(bin)
    const command = isOurs ? process.execPath : bin
    const child = spawn(command, [...(isOurs ? [join(this.#root, bin)] : []), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    createInterface(child.stdout).on('line', line => this.#lastLines.set(name, line))
    try {
      if (nice > 0 && child.pid !== undefined) setPriority(child.pid, nice)
    } catch {
      // It has ended already, which is told below.
    }
    const ended = new Promise<void>(resolve => {
      child.once('exit', (code, signal) => {
        this.#running.delete(name)
        log.end()
        resolve()
        if (!this.#stopping) this.#onLost(member, signal ?? `exit code ${code}`, this.command(member))
      })
    })
    this.#running.set(name, { child, log, ended })
  }

  /** What a person types to start it again, from the repository's folder. */
  command({ bin, args }: Member): string {
    const words = [
      ...(isAbsolute(bin) ? [] : ['node']),
      bin,
      ...args.map(arg => (arg.startsWith(this.#root) ? relative(this.#root, arg) : arg)),
    ]
    return words.map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ')
  }

  pid(name: string): number | undefined {
    return this.#running.get(name)?.child.pid
  }

  /** What it logged last. */
  lastLine(name: string): string {
    return this.#lastLines.get(name) ?? ''
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const all = [...this.#running.values()].reverse()
    for (const { child } of all) child.kill('SIGTERM')
    await Promise.all(all.map(({ ended }) => ended))
  }
}
