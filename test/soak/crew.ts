import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../..')

export interface Member {
  name: string
  /** Of the repository, such as `agent/bin/kestrel-agent.js`. */
  bin: string
  args: string[]
  /** Niceness: agents first, training with what is left. */
  nice: number
  /** Comes to an end of its own, as a flight does: then the next one begins. */
  repeats?: boolean
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One process of the soak, started again and again; all its lives write into one log. */
export class CrewMember {
  readonly member: Member
  readonly #log: string
  #child: ChildProcess | undefined
  /** A life ended that nobody had ended. */
  readonly #onLost: (member: Member, how: string) => void
  #expected = false
  lives = 0

  constructor(member: Member, options: { dir: string; onLost: (member: Member, how: string) => void }) {
    this.member = member
    this.#log = join(options.dir, `${member.name}.log`)
    this.#onLost = options.onLost
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    const { bin, args, nice } = this.member
    this.lives++
    this.#expected = false
    const log = openSync(this.#log, 'a')
    const child = spawn(process.execPath, [join(root, bin), ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    })
    closeSync(log)
    running.add(child)
    this.#child = child
    try {
      if (nice > 0 && child.pid !== undefined) setPriority(child.pid, nice)
    } catch {
      // It has ended already, which is told below.
    }
    child.once('exit', (code, signal) => {
      running.delete(child)
      if (this.#child === child) this.#child = undefined
      if (this.#expected) return
      if (this.member.repeats === true && code === 0) this.start()
      else this.#onLost(this.member, signal ?? `exit code ${code}`)
    })
  }

  /** Ends it, and waits until it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#expected = true
    const gone = once(child, 'exit')
    child.kill(signal)
    // A process that does not go when asked is a finding, but not a reason to hang.
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(timer)
  }

  /** What all its lives said. */
  lines(): string[] {
    return readFileSync(this.#log, 'utf8').split('\n')
  }
}
