import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskFiles, SLOT_HEADER_BYTES, type SlotFiles, SlotStore } from '@kestrel/agent'
import { parameterDigest, readParameters, type Student } from '@kestrel/models'
import fc from 'fast-check'
import t from 'tap'
import { keptLog, tinyStudent } from './support.js'

const student = tinyStudent()
const shipped = readParameters(student)

function weights(version: number) {
  const parameters = shipped.map(value => value + version)
  return { version, parameters, digest: parameterDigest(parameters) }
}

function open(folder: string, files?: SlotFiles, of: Student = student) {
  const log = keptLog()
  return { store: new SlotStore({ folder, student: of, log, files }), log }
}

function temporaryFolder(t: { teardown(run: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-store-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

t.test('gives back the newest weights, in one log line', async t => {
  const folder = temporaryFolder(t)
  const { store, log } = open(folder)
  t.same(await store.load(), [{ version: 0, parameters: shipped }])
  t.match(log.lines, [/shipped model flies/])
  for (const version of [1, 2, 3]) await store.save(weights(version))
  const again = open(folder)
  t.same(
    (await again.store.load()).map(({ version, parameters }) => [version, parameters]),
    [3, 2, 0].map(version => [version, weights(version).parameters]),
    'newest first, the shipped ones last',
  )
  t.match(again.log.lines, [/Version 3 of slot-a/])
  await again.store.save(weights(4))
  t.equal((await open(folder).store.load())[0].version, 4)
})

t.test('any damage to the newest slot falls back to the other, to both to the shipped model', async t => {
  const folder = temporaryFolder(t)
  const { store } = open(folder)
  await store.load()
  await store.save(weights(1))
  await store.save(weights(2))
  const newest = readFileSync(join(folder, 'slot-b'))
  // Each field of the header, the first, a middle and the last parameter.
  const middle = SLOT_HEADER_BYTES + 4 * Math.floor(student.parameterCount / 2)
  for (const at of [0, 4, 8, 12, 16, 48, 80, 112, SLOT_HEADER_BYTES, middle, newest.length - 1]) {
    const damaged = Buffer.from(newest)
    damaged[at] ^= 1
    writeFileSync(join(folder, 'slot-b'), damaged)
    const { store, log } = open(folder)
    t.same((await store.load())[0], { version: 1, parameters: weights(1).parameters }, `bit at ${at}`)
    t.match(log.lines, [/slot-b .*: version 1 of slot-a flies/])
  }
  for (const length of [0, 3, 50, SLOT_HEADER_BYTES - 1, SLOT_HEADER_BYTES, middle, newest.length - 1]) {
    writeFileSync(join(folder, 'slot-b'), newest.subarray(0, length))
    t.equal((await open(folder).store.load())[0].version, 1, `cut after ${length}`)
  }
  writeFileSync(join(folder, 'slot-b'), Buffer.concat([newest, Buffer.alloc(1)]))
  t.equal((await open(folder).store.load())[0].version, 1, 'too long')
  writeFileSync(join(folder, 'slot-a'), 'nonsense')
  const { store: last, log } = open(folder)
  t.same(await last.load(), [{ version: 0, parameters: shipped }])
  t.match(log.lines, [/slot-a .*; slot-b .*: the shipped model flies/])
})

t.test('a damaged slot is the one that is written next', async t => {
  const folder = temporaryFolder(t)
  const { store } = open(folder)
  await store.load()
  await store.save(weights(1))
  await store.save(weights(2))
  writeFileSync(join(folder, 'slot-b'), 'broken')
  const again = open(folder).store
  await again.load()
  await again.save(weights(3))
  t.equal(readFileSync(join(folder, 'slot-a')).length, SLOT_HEADER_BYTES + 4 * student.parameterCount)
  t.equal((await open(folder).store.load())[0].version, 3)
})

t.test('weights that grew from another student, or another shipped model, are not taken', async t => {
  const folder = temporaryFolder(t)
  const { store } = open(folder)
  await store.load()
  await store.save(weights(1))
  const other = open(folder, undefined, tinyStudent(3))
  t.equal((await other.store.load())[0].version, 0)
  t.match(other.log.lines, [/grew from another shipped model/])
  const foreign = open(folder, undefined, { ...student, layoutDigest: new Uint8Array(32) })
  t.equal((await foreign.store.load())[0].version, 0)
  t.match(foreign.log.lines, [/belongs to another student/])
})

/** A store whose files are in memory. */
function memoryStore(files = new Map<string, Uint8Array>()) {
  const access: SlotFiles = {
    read: async path => files.get(path),
    write: async (path, chunks) => void files.set(path, Buffer.concat(chunks)),
    sync: async () => {},
    async rename(from, to) {
      files.set(to, files.get(from)!)
      files.delete(from)
    },
    syncFolder: async () => {},
  }
  return { store: open('state', access).store, files }
}

class PowerCut extends Error {}

/**
 * A disk that forgets what was not forced onto it. The power goes before operation `cutAt`; what was written and not synced
 * is then cut at a random byte or gone, and names that were not synced are as before, or not.
 */
function fragileDisk(cutAt: number, luck: () => number) {
  const files = new Map<string, Uint8Array>()
  const unsynced = new Set<string>()
  let unsyncedRenames: { from: string; to: string; content: Uint8Array; old: Uint8Array | undefined }[] = []
  let operations = 0
  const guard = () => {
    if (operations++ >= cutAt) throw new PowerCut()
  }
  const access: SlotFiles = {
    read: async path => files.get(path),
    async write(path, chunks) {
      guard()
      files.set(path, Buffer.concat(chunks))
      unsynced.add(path)
    },
    async sync(path) {
      guard()
      unsynced.delete(path)
    },
    async rename(from, to) {
      guard()
      const content = files.get(from)!
      unsyncedRenames.push({ from, to, content, old: files.get(to) })
      files.set(to, content)
      files.delete(from)
      if (unsynced.delete(from)) unsynced.add(to)
    },
    async syncFolder() {
      guard()
      unsyncedRenames = []
    },
  }
  /** What is there when the power is back. */
  const reboot = () => {
    for (const path of unsynced) {
      const content = files.get(path)!
      files.set(path, content.subarray(0, Math.floor(luck() * content.length)))
    }
    for (const { from, to, content, old } of unsyncedRenames.reverse()) {
      if (luck() < 0.5) continue
      files.set(from, content)
      if (old === undefined) files.delete(to)
      else files.set(to, old)
    }
    unsynced.clear()
    unsyncedRenames = []
    operations = Number.NEGATIVE_INFINITY
  }
  return { access, reboot, files }
}

t.test('a power cut between any two steps leaves the old weights or the new, never neither', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 24 }),
      fc.array(fc.constantFrom('save', 'save', 'back'), { minLength: 1, maxLength: 6 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (cutAt, steps, lucky) => {
        const disk = fragileDisk(cutAt, () => lucky.next().value as number)
        const { store } = open('state', disk.access)
        await store.load()
        // What flies, as the applier knows it: the last one is the newest; what is under it, it can go back to.
        let flown = [0]
        let attempted = flown
        try {
          for (const [i, step] of steps.entries()) {
            if (step === 'back' && flown.length === 1) continue
            attempted = step === 'save' ? [...flown.slice(-1), i + 1] : flown.slice(0, -1)
            // After going back there is nothing but the shipped weights below.
            if (step === 'back' && attempted[0] !== 0) attempted = [0, ...attempted]
            if (step === 'save') await store.save(weights(i + 1))
            else await store.fallBack(weights(attempted.at(-1)!).digest)
            flown = attempted
          }
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error
        }
        disk.reboot()
        const again = open('state', disk.access).store
        const [{ version, parameters }] = await again.load()
        // Going back to the shipped weights sets two slots aside, one after the other.
        const allowed = new Set([
          ...flown.slice(-1),
          ...attempted.slice(-1),
          ...(attempted.length === 1 ? flown : []),
        ])
        if (!allowed.has(version)) throw new Error(`version ${version}, expected ${[...allowed]}`)
        if (Buffer.compare(parameterDigest(parameters), weights(version).digest) !== 0) return false
        // And it goes on from there.
        await again.save(weights(100))
        return (await open('state', disk.access).store.load())[0].version === 100
      },
    ),
    { numRuns: 1000 },
  )
})

t.test('going back: the weights before load, those after them are set aside and known', async t => {
  const folder = temporaryFolder(t)
  const { store } = open(folder)
  await store.load()
  for (const version of [1, 2, 3]) await store.save(weights(version))
  await store.fallBack(weights(2).digest)
  const versions = async () => {
    const { store: reader } = open(folder)
    return { versions: (await reader.load()).map(({ version }) => version), rolledBack: reader.rolledBack }
  }
  t.same(await versions(), { versions: [2, 0], rolledBack: [weights(3).digest] })
  await store.save(weights(4))
  t.same((await versions()).versions, [4, 2, 0], 'what flew before is still there')
  await store.fallBack(weights(0).digest)
  t.same((await versions()).versions, [0], 'as far back as it goes')
  t.equal((await versions()).rolledBack.length, 2)
  await store.save(weights(5))
  t.same((await versions()).versions, [5, 0])
  writeFileSync(join(folder, 'slot-b.rolled-back'), 'broken')
  t.equal((await versions()).versions[0], 5, 'a damaged one of those is no reason for anything')
})

t.test('every cut and every bit of the newest slot: the other one loads', async t => {
  const { store: writer, files } = memoryStore()
  await writer.load()
  await writer.save(weights(1))
  await writer.save(weights(2))
  const newest = Buffer.from(files.get('state/slot-b')!)
  const loads = async (bytes: Uint8Array) => {
    files.set('state/slot-b', bytes)
    const [{ version, parameters }] = await memoryStore(files).store.load()
    return version === 1 && Buffer.compare(parameterDigest(parameters), weights(1).digest) === 0
  }
  const failed: string[] = []
  for (let length = 0; length < newest.length; length++) {
    if (!(await loads(newest.subarray(0, length)))) failed.push(`cut after ${length}`)
    for (let bit = 0; bit < 8; bit++) {
      const damaged = Buffer.from(newest)
      damaged[length] ^= 1 << bit
      if (!(await loads(damaged))) failed.push(`bit ${bit} of byte ${length}`)
    }
  }
  t.same(failed, [])
  files.set('state/slot-b', newest)
  t.equal((await memoryStore(files).store.load())[0].version, 2, 'undamaged, it does')
})

t.test('the steps on a real disk: temporary file, sync, rename, sync of the folder', async t => {
  const folder = temporaryFolder(t)
  const steps: string[] = []
  const name = (path: string) => path.slice(folder.length + 1) || '.'
  const note =
    <Args extends string[]>(step: string, run: (...args: Args) => Promise<void>) =>
    (...args: Args) => {
      steps.push([step, ...args.map(name)].join(' '))
      return run(...args)
    }
  const files: SlotFiles = {
    read: diskFiles.read,
    write(path, chunks) {
      steps.push(`write ${name(path)}`)
      return diskFiles.write(path, chunks)
    },
    sync: note('sync', diskFiles.sync),
    rename: note('rename', diskFiles.rename),
    syncFolder: note('sync', diskFiles.syncFolder),
  }
  const { store } = open(folder, files)
  await store.load()
  await store.save(weights(1))
  t.same(steps, ['write slot-a.new', 'sync slot-a.new', 'rename slot-a.new slot-a', 'sync .'])
})
