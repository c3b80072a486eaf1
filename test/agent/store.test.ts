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
  t.same(await store.load(), { version: 0, parameters: shipped })
  t.match(log.lines, [/shipped model flies/])
  for (const version of [1, 2, 3]) await store.save(weights(version))
  const again = open(folder)
  const loaded = await again.store.load()
  t.equal(loaded.version, 3)
  t.same(loaded.parameters, weights(3).parameters)
  t.match(again.log.lines, [/Version 3 of slot-a/])
  await again.store.save(weights(4))
  t.equal((await open(folder).store.load()).version, 4)
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
    t.same(await store.load(), { version: 1, parameters: weights(1).parameters }, `bit at ${at}`)
    t.match(log.lines, [/slot-b .*: version 1 of slot-a flies/])
  }
  for (const length of [0, 3, 50, SLOT_HEADER_BYTES - 1, SLOT_HEADER_BYTES, middle, newest.length - 1]) {
    writeFileSync(join(folder, 'slot-b'), newest.subarray(0, length))
    t.equal((await open(folder).store.load()).version, 1, `cut after ${length}`)
  }
  writeFileSync(join(folder, 'slot-b'), Buffer.concat([newest, Buffer.alloc(1)]))
  t.equal((await open(folder).store.load()).version, 1, 'too long')
  writeFileSync(join(folder, 'slot-a'), 'nonsense')
  const { store: last, log } = open(folder)
  t.same(await last.load(), { version: 0, parameters: shipped })
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
  t.equal((await open(folder).store.load()).version, 3)
})

t.test('weights that grew from another student, or another shipped model, are not taken', async t => {
  const folder = temporaryFolder(t)
  const { store } = open(folder)
  await store.load()
  await store.save(weights(1))
  const other = open(folder, undefined, tinyStudent(3))
  t.equal((await other.store.load()).version, 0)
  t.match(other.log.lines, [/grew from another shipped model/])
  const foreign = open(folder, undefined, { ...student, layoutDigest: new Uint8Array(32) })
  t.equal((await foreign.store.load()).version, 0)
  t.match(foreign.log.lines, [/belongs to another student/])
})

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
      fc.integer({ min: 0, max: 20 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (cutAt, lucky) => {
        const disk = fragileDisk(cutAt, () => lucky.next().value as number)
        const { store } = open('state', disk.access)
        await store.load()
        let saved = 0
        let attempted = 0
        try {
          for (let version = 1; version <= 4; version++) {
            attempted = version
            await store.save(weights(version))
            saved = version
          }
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error
        }
        disk.reboot()
        const again = open('state', disk.access).store
        const { version, parameters } = await again.load()
        if (version !== saved && version !== attempted) return false
        if (Buffer.compare(parameterDigest(parameters), parameterDigest(weights(version).parameters)) !== 0) {
          return version === 0
        }
        // And it goes on from there.
        await again.save(weights(10))
        return (await open('state', disk.access).store.load()).version === 10
      },
    ),
    { numRuns: 200 },
  )
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
