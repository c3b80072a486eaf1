import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { setPriority } from 'node:os'
import { join } from 'node:path'

/** The repository. */
export const root = join(import.meta.dirname, '../..')

/**
 * Starts an entry point such as `agent/bin/kestrel-agent.js`; what it says goes to a file in the folder, and it ends with this process.
 */
export function startProcess(options: {
  name: string
  bin: string
  args: string[]
  folder: string
  nice?: number
}): ChildProcess {
  const { name, bin, args, folder, nice = 0 } = options
  const log = createWriteStream(join(folder, `${name}.log`))
  const child = spawn(process.execPath, [join(root, bin), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  })
  process.once('exit', () => child.kill('SIGKILL'))
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  if (nice > 0 && child.pid !== undefined) setPriority(child.pid, nice)
  return child
}

export async function stopProcesses(children: ChildProcess[]): Promise<void> {
  const alive = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
  const ended = alive.map(child => once(child, 'exit'))
  for (const child of alive) child.kill('SIGTERM')
  await Promise.all(ended)
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
