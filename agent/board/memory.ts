import { ownGroups } from './cgroup.js'
import type { SystemFiles } from './system-files.js'

export interface MemoryReading {
  /** Of the board, bytes. */
  usedBytes: number
  totalBytes: number
  /** The fuller of the board's memory and the agent's own limit (systemd `MemoryMax=`, `MemoryHigh=`), 0..1. */
  share: number
}

/** Memory of the board, and what the agent's control group leaves of it. */
export function readMemory(files: SystemFiles): MemoryReading {
  const info = files.text('/proc/meminfo') ?? ''
  const field = (name: string) => 1024 * Number(info.match(new RegExp(`^${name}: +(\\d+) kB`, 'm'))?.[1] ?? 0)
  const totalBytes = field('MemTotal')
  // What can be had without swapping, caches included (proc(5), MemAvailable).
  const usedBytes = Math.max(0, totalBytes - field('MemAvailable'))
  const shares = ownGroups(files).map(group => groupShare(files, group))
  return { usedBytes, totalBytes, share: Math.max(totalBytes > 0 ? usedBytes / totalBytes : 0, ...shares) }
}

/** How full the limit of a control group is; the page cache does not count, the kernel takes it back first. */
function groupShare(files: SystemFiles, group: string): number {
  const limits = ['memory.max', 'memory.high'].map(name => files.number(`${group}/${name}`) ?? Infinity)
  const limit = Math.min(...limits)
  const current = files.number(`${group}/memory.current`)
  if (current === undefined || !Number.isFinite(limit) || limit <= 0) return 0
  const cache = Number(files.text(`${group}/memory.stat`)?.match(/^inactive_file (\d+)$/m)?.[1] ?? 0)
  return Math.max(0, current - cache) / limit
}
