import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InProcessHost, SlotStore } from '@kestrel/agent'
import { encodeUpdate, parameterDigest, readParameters, withParameters } from '@kestrel/models'
import t, { type Test } from 'tap'
import { flyUntilPowerCut } from './power-cut-flight.js'
import { keptLog, testImage, tinyStudent } from './support.js'

t.setTimeout(120_000)

/** The same flight in a process of its own, which really is killed. */
const script = `(async () => {
  const [module, killAt, folder, studentFile, ...updates] = process.argv.slice(1)
  const { flyUntilPowerCut } = await import(module)
  const die = () => { process.kill(process.pid, 'SIGKILL'); for (;;); }
  const onFlown = version => require('node:fs').writeSync(1, version + '\\n')
  await flyUntilPowerCut({ killAt: Number(killAt), folder, studentFile, updates, die, onFlown })
})()`
const module = join(import.meta.dirname, 'power-cut-flight.js')

/** Two updates, a roll back and a third update, as files; by version the digests of what flies. */
function chain(folder: string) {
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
  return { student, studentFile, updates, digests }
}

/** Flies until the power goes before the step, in this process: nothing is done any more from there on. @returns the versions that flew */
async function cutAt(killAt: number, flight: { folder: string; studentFile: string; updates: string[] }) {
  const flown: number[] = []
  const onFlown = (version: number) => void flown.push(version)
  let die: () => Promise<never> = () => new Promise(() => {})
  const died = new Promise<false>(resolve => {
    die = () => {
      resolve(false)
      return new Promise(() => {})
    }
  })
  const ended = flyUntilPowerCut({ ...flight, killAt, die, onFlown }).then(() => true)
  return { flown, done: await Promise.race([ended, died]) }
}

/** Names and contents of the files below a folder. */
function filesIn(folder: string): Record<string, string> {
  const names = existsSync(folder) ? readdirSync(folder) : []
  return Object.fromEntries(names.sort().map(name => [name, readFileSync(join(folder, name), 'base64')]))
}

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-power-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

t.test(
  'with the power gone at any step of an update or of going back, it loads what flew or what was to fly',
  async t => {
    const folder = temporaryFolder(t)
    const { student, digests, ...flight } = chain(folder)
    const flies = [0, 1, 2, 1, 3]
    const outcomes: string[] = []
    for (let killAt = 0, done = false; !done; killAt++) {
      const weights = join(folder, `state-${killAt}`, 'weights')
      const cut = await cutAt(killAt, { ...flight, folder: weights })
      done = cut.done
      const { length: reached } = cut.flown
      const allowed = new Set([flies[reached], flies[Math.min(reached + 1, flies.length - 1)]])
      const log = keptLog()
      const store = new SlotStore({ folder: weights, student, log })
      const [{ version, parameters }] = await store.load()
      const whole = Buffer.compare(parameterDigest(parameters), digests.get(version)!) === 0
      const quiet = !log.lines.some(line => line.startsWith('warn'))
      if (!allowed.has(version) || !whole || !quiet) {
        return t.fail(`cut before step ${killAt}, after ${cut.flown}: version ${version}, ${log.lines}`)
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
  },
)

t.test('a process that is killed leaves what the test above goes by, to the byte', async t => {
  const folder = temporaryFolder(t)
  const { student: _, digests: __, ...flight } = chain(folder)
  const { studentFile, updates } = flight
  // In the middle of a file; between rename and sync; while going back.
  for (const killAt of [3, 6, 18]) {
    const [killed, cut] = ['killed', 'cut'].map(name => join(folder, `${name}-${killAt}`))
    const child = spawnSync(
      process.execPath,
      ['-e', script, module, `${killAt}`, killed, studentFile, ...updates],
      {
        encoding: 'utf8',
      },
    )
    t.equal(child.signal, 'SIGKILL', child.stderr)
    const { flown } = await cutAt(killAt, { ...flight, folder: cut })
    t.same(child.stdout.trim().split('\n').filter(Boolean).map(Number), flown)
    t.same(filesIn(killed), filesIn(cut), `before step ${killAt}`)
  }
})
