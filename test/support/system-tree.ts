import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'

/** A folder that plays a board's /proc and /sys. */
export function systemTree(t: Test, files: Record<string, string> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'kestrel-board-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }))
  const write = (changes: Record<string, string>) => {
    for (const [path, text] of Object.entries(changes)) {
      const file = join(root, path)
      mkdirSync(dirname(file), { recursive: true })
      // The kernel ends its lines.
      writeFileSync(file, `${text}\n`)
    }
  }
  write(files)
  return { root, write, remove: (path: string) => rmSync(join(root, path), { recursive: true }) }
}

/** /proc/stat of a board with `cores` cores after `ticks`, of which each was busy for the given number. */
export function procStat(busy: number[], ticks: number): string {
  const line = (name: string, used: number, all: number) => {
    // user nice system idle iowait irq softirq steal guest guest_nice
    const idle = all - used
    return `${name} ${used - 3} 1 1 ${idle - 2} 2 0 1 0 ${used - 3} 0`
  }
  const total = busy.reduce((sum, used) => sum + used, 0)
  const cores = busy.map((used, i) => line(`cpu${i}`, used, ticks))
  return [line('cpu ', total, ticks * busy.length), ...cores, 'intr 1 2 3', 'ctxt 12345'].join('\n')
}
