import { readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface DiskReading {
  totalBytes: number
  /** That the agent may still write. */
  freeBytes: number
  /** Of the agent's own state folder, flight logs in it left out: they have a quota of their own. */
  stateBytes: number
}

/** @param logs folder of the flight logs @throws Error where the folder cannot be read */
export function readDisk(folder: string, logs?: string): DiskReading {
  const { bsize, blocks, bavail } = statfsSync(folder)
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, stateBytes: folderBytes(folder, logs) }
}

/** What flight logs may take so that they keep their quota and the file system its reserve. */
export function logAllowance(
  freeBytes: number,
  bounds: { logBytes: number; quotaBytes: number; reserveBytes: number },
): number {
  const { logBytes, quotaBytes, reserveBytes } = bounds
  return Math.max(0, Math.min(quotaBytes, logBytes + freeBytes - reserveBytes))
}

/**
 * What the outbox may take so that the state folder keeps its quota and the file system its reserve: it grows into what is free,
 * and gives way when others fill the disk.
 */
export function outboxAllowance(
  disk: DiskReading,
  bounds: { outboxBytes: number; quotaBytes: number; reserveBytes: number },
): number {
  const { outboxBytes, quotaBytes, reserveBytes } = bounds
  const byQuota = quotaBytes - (disk.stateBytes - outboxBytes)
  const byDisk = outboxBytes + disk.freeBytes - reserveBytes
  return Math.max(0, Math.min(byQuota, byDisk))
}

/** Bytes of the files in a folder and below; what vanishes meanwhile is passed over. */
function folderBytes(folder: string, except?: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    try {
      if (path === except) continue
      if (entry.isDirectory()) bytes += folderBytes(path, except)
      else if (entry.isFile()) bytes += statSync(path).size
    } catch {
      // It has just been removed.
    }
  }
  return bytes
}
