import { readdirSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '@kestrel/runtime'
import type { Firmware } from './firmware.js'
import { type ParameterFile, readParameterFile } from './parameter-file.js'

/** `firmware-config/` of this installation; this file is compiled to agent/dist/vehicle/params/. */
export const firmwareConfigFolder = fileURLToPath(new URL('../../../../firmware-config/', import.meta.url))

/** A shipped file, by its short name. */
export interface CatalogueEntry {
  /** VEHICLE-VERSION-LINK, such as `copter-4.6-serial`: the newest version that it is for. */
  short: string
  path: string
  vehicle: string
  link: string
  /** Versions that it is for, from its line `For: …`, such as 4.5 and 4.6. */
  versions: string[]
  description: string
}

/** What is shipped, in the order of names. */
export function catalogue(folder = firmwareConfigFolder): CatalogueEntry[] {
  return namesIn(folder)
    .filter(name => /\.params?$/.test(name))
    .sort()
    .map(name => entryOf(join(folder, name)))
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // An installation without it still takes files by path.
    return []
  }
}

function entryOf(path: string): CatalogueEntry {
  const short = basename(path, extname(path))
  const [vehicle, , link] = short.split('-')
  const { comments } = readParameterFile(path)
  const supported = comments.find(comment => comment.startsWith('For: ')) ?? ''
  return {
    short,
    path,
    vehicle,
    link,
    versions: supported.match(/\d+\.\d+/g) ?? [],
    description: comments[0] ?? '',
  }
}

/**
 * Reads a parameter file, by path or by short name; a version that a file covers too is as good as the one in its name.
 *
 * @throws UserError
 */
export function findParameterFile(name: string, folder = firmwareConfigFolder): ParameterFile {
  // What looks like a path is one.
  if (/[/\\]|\.params?$|\.parm$|\.txt$/.test(name)) return readParameterFile(name)
  const all = catalogue(folder)
  const [vehicle, version, link] = name.split('-')
  const entry =
    all.find(({ short }) => short === name) ??
    all.find(each => each.vehicle === vehicle && each.link === link && each.versions.includes(version))
  if (entry === undefined) {
    throw new UserError(
      `There is no parameter file "${name}": expected a path, or one of ${all.map(({ short }) => short).join(', ')}`,
    )
  }
  return readParameterFile(entry.path)
}

/** Which shipped files are for this firmware, newest last. */
export function filesFor({ vehicle, version }: Firmware, folder = firmwareConfigFolder): CatalogueEntry[] {
  return catalogue(folder).filter(
    entry =>
      entry.vehicle === vehicle &&
      version !== undefined &&
      entry.versions.includes(`${version.major}.${version.minor}`),
  )
}

/** The catalogue as lines of help. */
export function catalogueHelp(folder = firmwareConfigFolder): string {
  const all = catalogue(folder)
  const width = Math.max(0, ...all.map(({ short }) => short.length))
  return all.map(({ short, description }) => `  ${short.padEnd(width)}  ${description}`).join('\n')
}
