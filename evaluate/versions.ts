import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The packages whose versions can change a figure, and who depends on each. */
const packages: [name: string, by: string][] = [
  ['onnxruntime-node', '@kestrel/models'],
  ['node-av', '@kestrel/link'],
  ['@techstark/opencv-js', '@kestrel/evaluate'],
]

/** Versions of Kestrel and of what computes for it, for the record of a run. */
export function versions(): Record<string, string> {
  const own = versionIn(new URL('../package.json', import.meta.url))
  return Object.fromEntries([['kestrel', own], ...packages.map(([name, by]) => [name, versionOf(name, by)])])
}

/** Looks for the package's folder where its user would find it. */
function versionOf(name: string, by: string): string {
  const require = createRequire(import.meta.resolve(by))
  const folders = require.resolve.paths(name) ?? []
  for (const folder of folders) {
    try {
      return versionIn(new URL(`file://${folder}/${name}/package.json`))
    } catch {
      // Not in this folder: the next one up.
    }
  }
  return 'unknown'
}

function versionIn(file: URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
