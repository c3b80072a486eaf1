import { readFileSync } from 'node:fs'
import { diskFiles, type SlotFiles, SlotStore, UpdateApplier } from '@kestrel/agent'
import { readStudentFile } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'

export interface PowerCutFlight {
  studentFile: string
  updates: string[]
  /** Where the weights are kept, on the disk of this machine. */
  folder: string
  /** Before its step of this number the power goes, and in the middle of a file. */
  killAt: number
  /** Nothing that comes after it is done: it ends the process, or never resolves. */
  die: () => Promise<never>
  /** Told each version that flies. */
  onFlown: (version: number) => void
}

/** Takes two updates, rolls the second back and takes a third. Resolves where the power did not go before the end. */
export async function flyUntilPowerCut(options: PowerCutFlight): Promise<void> {
  const { studentFile, updates, folder, killAt, die, onFlown } = options
  let at = 0
  const step = async () => {
    if (at++ === killAt) await die()
  }
  const before =
    <Given extends unknown[], T>(run: (...given: Given) => Promise<T>) =>
    async (...given: Given): Promise<T> => {
      await step()
      return run(...given)
    }
  const files: SlotFiles = {
    read: diskFiles.read,
    async write(path, chunks) {
      await step()
      if (at++ === killAt) {
        const bytes = Buffer.concat(chunks)
        await diskFiles.write(path, [bytes.subarray(0, Math.floor(0.6 * bytes.length))])
        await die()
      }
      await diskFiles.write(path, chunks)
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
  for (const [i, file] of updates.entries()) {
    if (i === 2) {
      await applier.rollBack()
      onFlown(applier.version)
    }
    const { applied, reason } = await applier.apply(readFileSync(file))
    if (!applied) throw new Error(reason)
    onFlown(applier.version)
  }
  await step()
}
