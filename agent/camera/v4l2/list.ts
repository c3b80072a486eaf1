import { readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '@kestrel/runtime'
import type { Kernel } from './kernel.js'
import { type DeviceIdentity, identify, listFormats, type OfferedFormat } from './modes.js'

/** A capture device of this machine. */
export interface ListedDevice {
  /** `/dev/video0` */
  path: string
  /** Names under /dev/v4l that stay the same over re-plugging and reboots, the best first. */
  stableNames: string[]
  identity: DeviceIdentity
  formats: OfferedFormat[]
}

/** A device that could not be asked. */
export interface MuteDevice {
  path: string
  /** `EACCES`, … */
  reason: string
}

/** All capture devices; nodes that only carry metadata or play are left out. */
export function listDevices(kernel: Kernel, options: { dev?: string } = {}): (ListedDevice | MuteDevice)[] {
  const { dev = '/dev' } = options
  const names = entries(dev)
    .filter(name => /^video\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
  return names.flatMap((name): (ListedDevice | MuteDevice)[] => {
    const path = join(dev, name)
    let fd: number | undefined
    try {
      fd = kernel.open(path)
      const identity = identify(kernel, fd)
      if (!identity.captures) return []
      return [{ path, stableNames: stableNames(path, dev), identity, formats: listFormats(kernel, fd) }]
    } catch (error) {
      return [{ path, reason: messageOf(error) }]
    } finally {
      if (fd !== undefined) kernel.close(fd)
    }
  })
}

/** Names under /dev/v4l/by-id and by-path (udev's 60-persistent-v4l.rules) that lead to this device. */
export function stableNames(path: string, dev = '/dev'): string[] {
  const target = realPath(path)
  return ['by-id', 'by-path'].flatMap(kind => {
    const folder = join(dev, 'v4l', kind)
    return entries(folder)
      .map(name => join(folder, name))
      .filter(link => target !== undefined && realPath(link) === target)
      .sort()
  })
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
