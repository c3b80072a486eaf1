import { execFile } from 'node:child_process'
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import { makeModel, makeNode, makeValueInfo, writeOnnx } from '@kestrel/models'
import type { Log } from '@kestrel/runtime'
import { BLOCKED_DOMAIN } from './graph/blocked.js'
import type { Dialect } from './graph/emitter.js'
import { openSession } from './session.js'

export type Provider = 'cpu' | 'cuda' | 'webgpu'

/** How long a provider may take to show that it works. */
const TRIAL_MS = 60_000

/**
 * The execution provider to train on: the requested one if it works, else the CPU, with one warning.
 */
export async function chooseProvider(requested: Provider, log: Log): Promise<Provider> {
  if (requested === 'cpu') return 'cpu'
  const answer = await tryProvider(requested)
  if (answer === 'ok') return requested
  log.warn(`${requested} does not work here, so training runs on the CPU (${answer})`)
  return 'cpu'
}

/**
 * A failed WebGPU start can end a process, if only when it exits (ONNX Runtime 1.27 on a machine without a GPU does): so it is
 * tried in another one first.
 */
function tryProvider(provider: Provider): Promise<string> {
  const script = fileURLToPath(new URL('./provider-trial.js', import.meta.url))
  return new Promise(resolve => {
    execFile(execPath, [script, provider], { timeout: TRIAL_MS }, (error, stdout) => {
      const said = stdout.trim()
      if (said === 'ok' && error === null) resolve('ok')
      else if (said === 'ok' || said === '') resolve(`its trial ended with ${error?.signal ?? error?.code}`)
      else resolve(reason(said))
    })
  })
}

/** The last sentence of a native error, without the place in the source that it comes from. */
function reason(message: string): string {
  const lines = message.split('\n').map(line => line.trim())
  const line = lines.filter(text => text !== '').at(-1) ?? message
  return line.replace(/^.*was false\. /, '').slice(0, 200)
}

/** What a provider's graphs may use beyond the standard operators. */
export async function dialectOf(provider: Provider): Promise<Dialect> {
  return { fusedMatMul: provider !== 'webgpu', block: provider === 'cpu' ? await blockSize() : 0 }
}

let block: Promise<number> | undefined

/** Channels in a block of the CPU's blocked layout, as this processor has it: 8 with AVX2, 16 with AVX-512; 0 without. */
function blockSize(): Promise<number> {
  block ??= measureBlock()
  return block
}

async function measureBlock(): Promise<number> {
  const reorder = makeNode('ReorderInput', ['x'], ['y'])
  reorder.domain = BLOCKED_DOMAIN
  const model = makeModel({
    nodes: [reorder],
    inputs: [makeValueInfo('x', [1, 4, 1, 1])],
    outputs: [makeValueInfo('y', [1, 'channels', 1, 1])],
    opsets: { '': 17, [BLOCKED_DOMAIN]: 1 },
  })
  try {
    const { session, Tensor } = await openSession(writeOnnx(model), { logSeverityLevel: 4 })
    const x = new Tensor('float32', new Float32Array(4), [1, 4, 1, 1])
    const { y } = await session.run({ x }, { logSeverityLevel: 4 })
    await session.release()
    const channels = Number(y.dims[1])
    return channels > 4 ? channels : 0
  } catch {
    // No such layout on this processor, or not in this build: the standard operators do.
    return 0
  }
}
