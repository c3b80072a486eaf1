import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeHello, LabelEncoder, LabelSocket, Readers } from '@kestrel/agent'
import type { Test } from 'tap'
import { waitFor } from '../support/processes.js'
import { keptLog } from './support.js'

export const hello = {
  drone: 'kes1',
  software: 'kestrel-agent',
  student: 'tiny.onnx',
  width: 64,
  height: 40,
  classes: ['land', 'water', 'sky'],
  palette: [
    [10, 120, 30],
    [20, 40, 200],
    [200, 220, 255],
  ] as [number, number, number][],
}
/** Noise below a sky: large messages, so that buffers fill quickly. */
export const map = {
  width: 64,
  height: 40,
  data: Uint8Array.from({ length: 64 * 40 }, (_, i) => (i < 640 ? 2 : Number((i * 7 + (i >> 3)) % 5 < 2))),
}
const encoder = new LabelEncoder()
export const message = (sequence: number) =>
  encoder.encode({
    sequence,
    frameId: 10 * sequence,
    captureMs: 1e12,
    modelVersion: 4,
    latencyMs: 5,
    classes: 3,
    map,
  })

export function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-labels-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

export async function openSocket(
  t: Test,
  options: { access?: 'owner' | 'group' | 'everyone'; max?: number } = {},
) {
  const { access = 'group', max = 8 } = options
  const path = join(folderOf(t), 'labels.sock')
  const readers = new Readers({ hello: encodeHello(hello), max })
  const log = keptLog()
  const socket = new LabelSocket({ path, access, readers, log })
  await socket.start()
  t.teardown(() => socket.stop())
  return { path, readers, socket, log }
}

export const tick = () => new Promise(resolve => setTimeout(resolve, 2))
export const joined = (readers: Readers, count: number) =>
  waitFor(`${count} readers`, () => readers.size === count, { timeoutS: 30 })
