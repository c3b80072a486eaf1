import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

interface Answer {
  loss: number
  ms: number
  parameters: number
  torch: string
}

/** PyTorch in a process of its own, which does a step when told to. */
export interface PyTorchPeer {
  readonly version: string
  /** Takes over a parameter vector; resolves to the number of parameters that PyTorch counts. */
  load(parameters: Float32Array): Promise<number>
  /** Takes images [B,3,H,W] and labels [B,H,W]. */
  batch(images: Uint8Array, labels: Uint8Array): Promise<void>
  /** Loss and gradient, without a step. */
  gradient(): Promise<{ loss: number; gradient: Float32Array }>
  /** One step: loss, gradient, Adam. */
  step(): Promise<{ loss: number; ms: number }>
  stop(): void
}

const SCRIPT = join(import.meta.dirname, '../../pytorch/training.py')

/** Starts PyTorch, or resolves to undefined where Python or PyTorch is not installed. */
export async function startPyTorch(options: {
  python: string
  width: number
  height: number
  classes: number
  batch: number
  threads: number
}): Promise<PyTorchPeer | undefined> {
  const { python, threads, ...sizes } = options
  if (spawnSync(python, ['-c', 'import torch, numpy']).status !== 0) return undefined
  const given = Object.entries({ ...sizes, threads }).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(python, [SCRIPT, ...given], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads) },
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-bench-'))
  const file = join(folder, 'exchange')
  const ask = (command: string) => {
    child.stdin.write(`${command}\n`)
    return answer(lines)
  }
  const { torch } = await answer(lines)
  return {
    version: torch,
    async load(parameters) {
      writeFileSync(file, parameters)
      return (await ask(`load ${file}`)).parameters
    },
    async batch(images, labels) {
      writeFileSync(file, Buffer.concat([images, labels]))
      await ask(`batch ${file}`)
    },
    async gradient() {
      const { loss } = await ask(`check ${file}`)
      return { loss, gradient: new Float32Array(new Uint8Array(readFileSync(file)).buffer) }
    },
    step: () => ask('step'),
    stop: () => stop(child, folder),
  }
}

async function answer(lines: AsyncIterator<string>): Promise<Answer> {
  const line = await lines.next()
  if (line.done) throw new Error('PyTorch ended before it answered')
  return JSON.parse(line.value)
}

function stop(child: ChildProcess, folder: string): void {
  child.kill()
  rmSync(folder, { recursive: true, force: true })
}
