import { createLog, messageOf, UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { startAgent } from './agent.js'
import { loadAgentConfig } from './config.js'
import { configHelp } from './config-help.js'
import { VERSION } from './link-module.js'
import { vehicleCommand } from './vehicle-command.js'

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
    .command('config')
    .description('list all options with their defaults')
    .action(() => {
      process.stdout.write(`${configHelp()}\n`)
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
    throw error
  }
  return code
}

async function run(file: string): Promise<number> {
  let log = createLog('agent')
  const stopping = new AbortController()
  const signals = ['SIGINT', 'SIGTERM'] as const
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping.signal.aborted) process.exit(FAILED)
    log.info(`Stopping (${signal}); once more stops at once`)
    stopping.abort()
  }
  const stopped = new Promise<void>(resolve => {
    stopping.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  for (const signal of signals) process.on(signal, onSignal)
  try {
    const config = loadAgentConfig(file)
    log = createLog('agent', config.log)
    log.info(`${config.drone} starts`)
    const agent = await startAgent(config, { log })
    try {
      await Promise.race([agent.finished, stopped])
      if (!stopping.signal.aborted) log.info('The video has ended')
    } finally {
      await agent.stop()
    }
    return STOPPED
  } catch (error) {
    if (error instanceof UserError) {
      process.stderr.write(`kestrel-agent: ${error.message}\n`)
      return TO_MEND
    }
    log.error(`Failed: ${error instanceof Error ? error.stack : messageOf(error)}`)
    return FAILED
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
  }
}
