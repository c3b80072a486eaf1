import { existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf, UserError } from '@kestrel/runtime'
import { Board } from '../board/board.js'
import { readDisk } from '../board/disk.js'
import { strainOf } from '../board/strain.js'
import type { AgentConfig } from '../service/config.js'

/** Whether state can be written, and there is room for it. @throws UserError */
export function checkDisk(config: AgentConfig): string {
  const { stateDir, resources } = config
  // The agent makes it, where it may.
  let folder = stateDir
  while (!existsSync(folder)) folder = dirname(folder)
  try {
    rmdirSync(mkdtempSync(join(folder, 'check-')))
  } catch (cause) {
    throw new UserError(
      `${folder} cannot be written by user ${process.env.USER ?? process.getuid?.()} (${messageOf(cause)}): check as the agent's ` +
        'own user (sudo -u kestrel kestrel-agent check), or set stateDir to a folder that can',
      { cause },
    )
  }
  const disk = readDisk(folder)
  const freeMB = disk.freeBytes / 1e6
  if (freeMB < resources.minFreeMB) {
    throw new UserError(
      `${freeMB.toFixed(0)} MB are free on the disk of ${stateDir}, ${resources.minFreeMB} MB should be (resources.minFreeMB): ` +
        `unsent segments would not be kept; remove what is not needed`,
    )
  }
  const stateMB = folder === stateDir ? disk.stateBytes / 1e6 : 0
  return `${stateDir}: ${freeMB.toFixed(0)} MB free, ${stateMB.toFixed(1)} of ${resources.maxStateMB} MB in use`
}

/** Whether the board is up to it now. @throws UserError where it is throttled, or over a ceiling */
export function checkBoard(config: AgentConfig, options: { root?: string } = {}): string {
  const board = new Board({ stateDir: config.stateDir, root: options.root })
  const readings = board.read(performance.now())
  const { thermal, memory, throttling } = readings
  const { over } = strainOf(readings, config.resources)
  if (over.length > 0) {
    const advice = throttling.underVoltage
      ? 'give the board a supply of its own with thicker, shorter wires (a Pi wants 5.1 V under load)'
      : 'give it air or a heat sink, and less other work'
    throw new UserError(`${over.join(', ')}: frames would be let go; ${advice}`)
  }
  return [
    board.model || 'a board that does not name itself',
    `${cpus().length} cores`,
    `${(100 * memory.share).toFixed(0)} % of ${(memory.totalBytes / 1e9).toFixed(1)} GB memory`,
    thermal.temperatureC === undefined ? 'no thermometer' : `${thermal.temperatureC.toFixed(0)} °C`,
    'not throttled',
  ].join(', ')
}
