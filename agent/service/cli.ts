import { once } from 'node:events'
import { createLog, messageOf, RealClock, silentLog, stopSignal, UserError } from '@kestrel/runtime'
import { Command, Option } from 'commander'
import type { CameraOptions } from '../camera/camera.js'
import { hasV4l2, linuxKernel } from '../camera/v4l2/kernel.js'
import { checkAll } from '../check/check.js'
import { formatRow } from '../check/row.js'
import { raisePriority } from '../student/thread-priority.js'
import { startAgent } from './agent.js'
import { describeCameras, describeTrial, noCameras, tryCamera } from './cameras.js'
import { loadAgentConfig } from './config.js'
import { configHelp } from './config-help.js'
import { VERSION } from './link-module.js'
import { openNotify } from './notify.js'
import { pairAgent } from './pair.js'
import { rollBack } from './rollback.js'
import { printStatus } from './status.js'
import { vehicleCommand } from './vehicle-command.js'

/** Where the package puts it. */
const INSTALLED_CONFIG = '/etc/kestrel/agent.yaml'

/** Exit codes of the agent. */
const STOPPED = 0
const FAILED = 1
const TO_MEND = 2

/** The command line of the agent. @returns the exit code */
export async function agentMain(argv: string[]): Promise<number> {
  let code = STOPPED
  const program = new Command('kestrel-agent')
    .description('Runs on the drone: labels what the camera sees, and learns from the ground in flight.')
    .version(VERSION)
    .exitOverride()
  program
    .command('run')
    .description('fly: camera through the student, frames to the ground, weight updates from it')
    .requiredOption('--config <file>', 'YAML file with the options; `kestrel-agent config` lists them')
    .addHelpText(
      'after',
      `
Begin with agent/agent.example.yaml. The ground station may start first or later, and go away: the drone flies on.
SIGINT or SIGTERM stops it cleanly, a second one at once.
Exit code 0: stopped, or the video ended; 1: failed in flight; 2: something to mend, the message says what.`,
    )
    .action(async ({ config }: { config: string }) => {
      code = await run(config)
    })
  program
    .command('check')
    .description('try every part that a flight needs, and say how to mend what does not work')
    .option('--config <file>', 'YAML file with the options', INSTALLED_CONFIG)
    .addHelpText(
      'after',
      `
Tries configuration, student, camera, broker, vehicle, disk and board, one line each. Takes some seconds; an agent that runs is not disturbed.
Exit code 0: all of it works; 1: some does not.`,
    )
    .action(async ({ config }: { config: string }) => {
      const works = await checkAll(config, row => process.stdout.write(`${formatRow(row)}\n`))
      code = works ? STOPPED : FAILED
    })
  program
    .command('status')
    .description('ask the running agent how it does')
    .option('--config <file>', 'YAML file that the agent runs with', INSTALLED_CONFIG)
    .option('--json', 'as JSON, for programs')
    .addHelpText(
      'after',
      '\nExit code 0: it runs; 1: no agent runs; 2: it may not be asked, the message says why.',
    )
    .action(async ({ config, json = false }: { config: string; json?: boolean }) => {
      code = await printStatus(config, json)
    })
  program
    .command('rollback')
    .description('fly the weights before again: the last update was for the worse')
    .option('--config <file>', 'YAML file that the agent runs with', INSTALLED_CONFIG)
    .addHelpText(
      'after',
      `
The weights of the last update are set aside, and those before them fly again: at once where the agent runs, at its next start otherwise;
where there are none, the student as shipped. Once more goes one step further back. What was set aside is not taken again from the ground.
Exit code 0: done; 2: nothing to go back from, or something to mend.`,
    )
    .action(async ({ config }: { config: string }) => {
      code = await command(async () => {
        const options = loadAgentConfig(config)
        process.stdout.write(`${await rollBack(options, createLog('agent', options.log))}\n`)
      })
    })
  program
    .command('pair')
    .description('take the credentials that `kestrel-ground pair` made for this drone')
    .argument('<source>', 'the file, or the address that `kestrel-ground pair --serve` printed, in quotes')
    .option('--config <file>', 'YAML file that the agent runs with', INSTALLED_CONFIG)
    .addHelpText(
      'after',
      `
From then on the drone connects with TLS, to this ground station only, and takes updates and orders from nobody else (docs/pairing.md).
Exit code 0: done; 2: something to mend, the message says what.`,
    )
    .action(async (source: string, { config }: { config: string }) => {
      code = await command(async () => {
        process.stdout.write(`${await pairAgent(source, config)}\n`)
      })
    })
  program
    .command('config')
    .description('list all options with their defaults')
    .action(() => {
      process.stdout.write(`${configHelp()}\n`)
    })
  program
    .command('cameras')
    .description('list the cameras here; with SOURCE, take pictures from one for some seconds')
    .argument(
      '[source]',
      'as camera.source: /dev/video0, rtsp://HOST/PATH, exec:COMMAND, a file, a folder, sim:SCENARIO',
    )
    .option('--width <pixels>', 'wished-for width', Number)
    .option('--height <pixels>', 'wished-for height', Number)
    .option('--fps <rate>', 'wished-for frames a second', Number)
    .option('--format <name>', 'mjpeg, yuyv, nv12, yuv420p, …')
    .addOption(new Option('--transport <name>', 'of RTSP').choices(['tcp', 'udp']).default('tcp'))
    .option('--seconds <s>', 'how long to look', Number, 3)
    .addHelpText(
      'after',
      '\nExit code 0: it gave pictures; 1: it did not, or there is no camera; 2: something to mend.',
    )
    .action(async (source: string | undefined, options: CamerasOptions) => {
      code = await cameras(source, options)
    })
  program.addCommand(
    vehicleCommand(result => {
      code = result
    }),
  )
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // commander has printed help or its message already.
    if (error instanceof Error && 'exitCode' in error) return error.exitCode === 0 ? STOPPED : TO_MEND
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`kestrel-agent: ${error.message}\n`)
    return TO_MEND
  }
  return code
}

/** Runs what ends by itself. @returns the exit code */
async function command(action: () => Promise<void>): Promise<number> {
  try {
    await action()
    return STOPPED
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`kestrel-agent: ${error.message}\n`)
    return TO_MEND
  }
}

type CamerasOptions = Pick<CameraOptions, 'width' | 'height' | 'fps' | 'format' | 'transport'> & {
  seconds: number
}

async function cameras(source: string | undefined, options: CamerasOptions): Promise<number> {
  try {
    if (source === undefined) {
      const list = hasV4l2() ? describeCameras(linuxKernel()) : undefined
      if (list === undefined) process.stderr.write(noCameras)
      else process.stdout.write(`${list}\n`)
      return list === undefined ? FAILED : STOPPED
    }
    const { seconds, ...wishes } = options
    if (!(seconds > 0)) throw new UserError('--seconds expects a number above 0')
    const live = { pace: 'real-time', clock: new RealClock(), log: silentLog } as const
    const trial = await tryCamera({ source, ...wishes, ...live }, seconds)
    if (trial.frames > 0) process.stdout.write(describeTrial(trial))
    else process.stderr.write(`kestrel-agent: ${source} gave no picture (${trial.trouble ?? 'it ended'})\n`)
    return trial.frames > 0 ? STOPPED : FAILED
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`kestrel-agent: ${error.message}\n`)
    return TO_MEND
  }
}

async function run(file: string): Promise<number> {
  let log = createLog('agent')
  const stopping = stopSignal(name => log.info(`Stopping (${name}); once more stops at once`))
  const stopped = once(stopping, 'abort')
  try {
    const config = loadAgentConfig(file)
    log = createLog('agent', config.log)
    log.info(`${config.drone} starts`)
    if (!raisePriority()) log.debug('The priority of the main thread is the usual one: no right to raise it')
    const agent = await startAgent(config, { log })
    try {
      await Promise.race([agent.finished, stopped])
      if (!stopping.aborted) log.info('The video has ended')
    } finally {
      await agent.stop()
    }
    return STOPPED
  } catch (error) {
    if (error instanceof UserError) {
      process.stderr.write(`kestrel-agent: ${error.message}\n`)
      // The unit does not start it again for this code: whoever asks systemd reads why.
      openNotify(process.env.NOTIFY_SOCKET)(`STATUS=To mend: ${error.message.replaceAll(/\s+/g, ' ')}`)
      return TO_MEND
    }
    log.error(`Failed: ${error instanceof Error ? error.stack : messageOf(error)}`)
    return FAILED
  }
}
