import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where a program of the distribution is. */
export interface Program {
  path: string
  env: NodeJS.ProcessEnv
}

/**
 * Finds a program of the distribution. On Debian where it is not installed it gets it: the package and what that needs are unpacked into a
 * folder of their own, so that nothing is installed and no service is started.
 *
 * @param name of the package
 * @param path of the program, such as `/usr/sbin/mosquitto`
 * @returns the program, or why tests that need it cannot run
 */
export function findProgram(name: string, path: string): Program | string {
  if (existsSync(path)) return { path, env: process.env }
  const folder = join(tmpdir(), `kestrel-debian-${process.getuid?.()}`, name)
  if (!existsSync(join(folder, path)) && existsSync('/etc/debian_version')) unpack(name, folder)
  if (!existsSync(join(folder, path))) return `${path} is absent: apt-get install -y ${name}`
  const lib = join(folder, 'usr/lib')
  const libraries = existsSync(lib) ? readdirSync(lib).map(entry => join(lib, entry)) : []
  return { path: join(folder, path), env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') } }
}

function unpack(name: string, folder: string): void {
  const run = (command: string, ...args: string[]) =>
    spawnSync(command, args, { timeout: 300_000, stdio: 'ignore' }).status === 0
  const archives = `${folder}.${process.pid}`
  mkdirSync(join(archives, 'partial'), { recursive: true })
  const keep = [`Dir::Cache::archives=${archives}`, 'Debug::NoLocking=1'].flatMap(option => ['-o', option])
  const get = () =>
    run('apt-get', '-q', '-y', ...keep, '--no-install-recommends', '--download-only', 'install', name)
  // A fresh container has no lists; only root may get them.
  if (get() || (run('apt-get', '-q', 'update') && get())) {
    const root = join(archives, 'root')
    for (const file of readdirSync(archives))
      if (file.endsWith('.deb')) run('dpkg', '-x', join(archives, file), root)
    try {
      renameSync(root, folder)
    } catch {
      // Another test was first.
    }
  }
  rmSync(archives, { recursive: true, force: true, maxRetries: 5 })
}
