import { createLog, type Log, stopSignal, UserError } from '@kestrel/runtime'
import { Command, CommanderError } from 'commander'
import { loadScenario } from '../scenario.js'
import { World } from '../world/world.js'
import { datasetCommand } from './dataset.js'
import { type FlownScenario, flyCommand } from './fly.js'
import { frameCommand } from './frame.js'
import { scenariosCommand } from './scenarios.js'

const examples = `
Examples:
  Which flights there are:
    kestrel-sim scenarios

  What the camera sees two minutes into one, with its labels:
    kestrel-sim frame valley-to-town --at 120 --out frame.png

  Frames and labels of a whole flight, one a second, for evaluate and pretrain:
    kestrel-sim dataset dawn-coast --fps 1 --out out/dawn-coast

  The autopilot of a flight, for QGroundControl, Mission Planner or MAVProxy (see docs/simulator-mavlink.md):
    kestrel-sim fly valley-to-town

Agent and evaluate take a simulated flight as a camera: sim:valley-to-town?fps=5`

/**
 * `kestrel-sim`: a world to fly over without a drone.
 *
 * @returns the exit code
 */
export async function simMain(argv: string[]): Promise<number> {
  const program = new Command('kestrel-sim')
    .description('Kestrel without hardware: a world, a camera over it, and an autopilot that speaks MAVLink')
    .version('0.1.0')
    .exitOverride()
    .addHelpText('after', examples)
  for (const command of [
    scenariosCommand(),
    frameCommand(),
    datasetCommand(),
    flyCommand(flown, untilSignal),
  ]) {
    program.addCommand(command.exitOverride())
  }
  try {
    await program.parseAsync(argv)
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`kestrel-sim: ${error.message}\n`)
    return 2
  }
}

function flown(name: string): FlownScenario {
  const scenario = loadScenario(name)
  const { groundHeight } = new World(scenario.world, scenario.seed)
  return { ...scenario, groundHeight }
}

async function untilSignal(task: (log: Log, signal: AbortSignal) => Promise<void>): Promise<void> {
  await task(createLog('sim', { level: 'info' }), stopSignal())
}
