import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../..')

/** The entry points as a user starts them. */
export const bins = {
  agent: join(root, 'agent/bin/kestrel-agent.js'),
  ground: join(root, 'ground-station/bin/kestrel-ground.js'),
}

/** A process under test and what it has said so far. */
export interface Running {
  child: ChildProcess
  /** Standard output and error together. */
  output(): string
  /** Ends it the way a user or a power cut would; resolves with the exit code or the signal. */
  stop(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | NodeJS.Signals | null>
  /** Resolves with the exit code when it ends by itself. */
  ended: Promise<number | NodeJS.Signals | null>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts one of the entry points with Node. */
export function start(
  bin: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Running {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', chunk => {
      text += chunk
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => {
    running.delete(child)
    return (code ?? signal) as number | NodeJS.Signals | null
  })
  return {
    child,
    output: () => text,
    ended,
    stop: signal => {
      child.kill(signal)
      return ended
    },
  }
}

/** A TCP port that was free a moment ago; processes that restart need the same one again. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return (address as { port: number }).port
}

/**
 * Resolves with the first value of `probe` that is neither undefined nor false.
 *
 * @throws Error with `what` and, from `context`, what is known, after `timeoutS`
 */
export async function waitFor<T>(
  what: string,
  probe: () => T,
  options: { timeoutS: number; context?: () => string },
): Promise<Exclude<T, undefined | false>> {
  const deadline = Date.now() + options.timeoutS * 1000
  for (;;) {
    const value = probe()
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>
    if (Date.now() > deadline) {
      throw new Error(`Waited ${options.timeoutS} s in vain for ${what}\n${options.context?.() ?? ''}`)
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
