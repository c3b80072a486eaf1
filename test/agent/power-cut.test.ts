import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InProcessHost, SlotStore } from '@kestrel/agent'
import { encodeUpdate, parameterDigest, readParameters, withParameters } from '@kestrel/models'
import t from 'tap'
import { keptLog, testImage, tinyStudent } from './support.js'

t.setTimeout(600_000)

/**
 * A process that takes two updates, rolls the second back and takes a third, on the disk of this machine. It kills itself before its
 * `killAt`th step, and in the middle of a file; each version that flies is written down.
 */
const script = `(async () => {
  const [killAt, folder, studentFile, ...updates] = process.argv.slice(1)
  const fs = require('node:fs')
  const { diskFiles, SlotStore, UpdateApplier } = await import('@kestrel/agent')
  const { readStudentFile } = await import('@kestrel/models')
  const { silentLog } = await import('@kestrel/runtime')
  let at = 0
  const die = () => { process.kill(process.pid, 'SIGKILL'); for (;;); }
  const step = () => { if (at++ === Number(killAt)) die() }
  const before = run => async (...given) => { step(); return run(...given) }
  const files = {
    read: diskFiles.read,
    async write(path, chunks) {
      step()
      if (at++ === Number(killAt)) {
        const bytes = Buffer.concat(chunks)
        await diskFiles.write(path, [bytes.subarray(0, Math.floor(0.6 * bytes.length))])
        die()
      }
      return diskFiles.write(path, chunks)
    },
    sync: before(diskFiles.sync),
    rename: before(diskFiles.rename),
    syncFolder: before(diskFiles.syncFolder),
  }
  const host = {
    load: before(async () => {}),
    canary: before(async () => ({ ok: true, detail: '' })),
    swap: before(async () => {}),
  }
  const student = readStudentFile(studentFile)
  const store = new SlotStore({ folder, student, log: silentLog, files })
  const [start, previous] = await store.load()
  const applier = new UpdateApplier({ student, host, store, start, previous })
  const say = () => fs.writeSync(1, applier.version + '\\n')
  for (const [i, file] of updates.entries()) {
    if (i === 2) await applier.rollBack().then(say)
    const { applied, reason } = await applier.apply(fs.readFileSync(file))
    if (!applied) throw new Error(reason)
    say()
  }
  step()
  fs.writeSync(1, 'done\\n')
})()`

t.test('killed at any step of an update or of going back, it loads what flew or what was to fly', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-power-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const student = tinyStudent()
  const studentFile = join(folder, 'tiny.onnx')
  writeFileSync(studentFile, student.bytes)
  const digests = new Map<number, Uint8Array>()
  const updates: string[] = []
  /** Writes the update that leads to this version and moves a tenth of the weights. */
  const lead = (baseVersion: number, base: Float32Array, version: number) => {
    const indices = Uint32Array.from({ length: Math.floor(base.length / 10) }, (_, i) => 10 * i)
    const values = Float32Array.from(indices, i => base[i] + version / 8)
    const update = encodeUpdate({ codec: 'delta', baseVersion, version, base, indices, values })
    updates.push(join(folder, `update-${version}`))
    writeFileSync(updates[version - 1], update.bytes)
    digests.set(version, update.digest)
    return update.parameters
  }
  const shipped = readParameters(student)
  digests.set(0, parameterDigest(shipped))
  const first = lead(0, shipped, 1)
  lead(1, first, 2)
  // The third builds on the first, to which the drone goes back.
  lead(1, first, 3)

  const flies = [0, 1, 2, 1, 3]
  const outcomes: string[] = []
  let done = false
  for (let killAt = 0; !done; killAt++) {
    const weights = join(folder, `state-${killAt}`, 'weights')
    const child = spawnSync(process.execPath, ['-e', script, `${killAt}`, weights, studentFile, ...updates], {
      encoding: 'utf8',
    })
    const said = child.stdout.trim().split('\n').filter(Boolean)
    done = said.at(-1) === 'done'
    if (!done && child.signal !== 'SIGKILL') return t.fail(`step ${killAt}: ${child.stderr}`)
    const reached = done ? said.length - 1 : said.length
    const allowed = new Set([flies[reached], flies[Math.min(reached + 1, flies.length - 1)]])
    const log = keptLog()
    const store = new SlotStore({ folder: weights, student, log })
    const [{ version, parameters }] = await store.load()
    const whole = Buffer.compare(parameterDigest(parameters), digests.get(version)!) === 0
    const quiet = !log.lines.some(line => line.startsWith('warn'))
    if (!allowed.has(version) || !whole || !quiet) {
      return t.fail(`killed before step ${killAt}, after ${said}: version ${version}, ${log.lines}`)
    }
    // And it runs.
    const host = await InProcessHost.create(student, withParameters(student, parameters), { threads: 1 })
    const { data } = await host.label(testImage(1))
    await host.release()
    if (data.length !== 24 * 16) return t.fail(`version ${version} gives no labels`)
    outcomes.push(`${version}`)
  }
  t.equal(outcomes.at(-1), '3', 'left alone, it ends with the last update')
  t.ok(outcomes.length > 25, `${outcomes.length} moments, these versions loaded: ${outcomes.join(' ')}`)
  for (const version of ['0', '1', '2', '3'])
    t.ok(outcomes.includes(version), `version ${version} among them`)
})
