import { dirname, join } from 'node:path'
import type { SystemFiles } from './system-files.js'

const mount = '/sys/fs/cgroup'

/** The agent's own control group and those above it, innermost first; none without cgroup v2 (cgroups(7)). */
export function ownGroups(files: SystemFiles): string[] {
  const line = files.text('/proc/self/cgroup')?.match(/^0::(\/.*)$/m)?.[1]
  if (line === undefined) return []
  const groups: string[] = []
  for (let group = line; ; group = dirname(group)) {
    groups.push(join(mount, group))
    if (group === '/' || group === '.') return groups
  }
}
