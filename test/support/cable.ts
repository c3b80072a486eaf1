import { rmSync, symlinkSync } from 'node:fs'
import { type SerialCable, serialCable } from '@kestrel/simulator'

/** Two serial devices under names that stay when the cable is plugged in again. */
export function plugCable(one: string, other: string): SerialCable {
  const cable = serialCable()
  for (const [i, name] of [one, other].entries()) {
    rmSync(name, { force: true })
    symlinkSync(cable.ends[i], name)
  }
  return { ...cable, ends: [one, other] }
}
