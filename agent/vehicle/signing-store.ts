import { closeSync, fsync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SigningStore } from '@kestrel/link/mavlink'
import { type Log, messageOf } from '@kestrel/runtime'

/** Keeps the time of signing in a file. What cannot be kept is said once: the vehicle is flown, and time goes on. */
export function diskSigningStore(file: string, log: Log): SigningStore {
  let saidSo = false
  return {
    load() {
      try {
        const ticks = Number(readFileSync(file, 'utf8').trim())
        if (Number.isSafeInteger(ticks) && ticks >= 0) return ticks
        log.warn(`${file} holds no time of MAVLink signing: it begins with the system's clock`)
      } catch {
        // The first flight with a key.
      }
      return undefined
    },
    save(ticks) {
      try {
        mkdirSync(dirname(file), { recursive: true })
        const fresh = `${file}.new`
        const handle = openSync(fresh, 'w', 0o600)
        writeSync(handle, `${ticks}\n`)
        renameSync(fresh, file)
        // Forced to the disk beside what goes on: the reservation lasts longer than that takes.
        fsync(handle, () => closeSync(handle))
      } catch (error) {
        if (!saidSo) log.warn(`The time of MAVLink signing cannot be kept: ${messageOf(error)}`)
        saidSo = true
      }
    },
  }
}
