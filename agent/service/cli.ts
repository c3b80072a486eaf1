import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { createLog, messageOf, UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { checkAll } from '../check/check.js'
import { formatRow } from '../check/row.js'
import { startAgent } from './agent.js'
import { loadAgentConfig } from './config.js'
import { configHelp } from './config-help.js'
import { agentSockets, askAgent } from './control-socket.js'
import { VERSION } from './link-module.js'
import { describeStatus } from './status.js'
import type { AgentStatus } from './status-module.js'

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
Tries configuration, student, camera, broker, disk and board, one line each. Takes some seconds; an agent that runs is not disturbed.
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
    .command('config')
    .description('list all options with their defaults')
    .action(() => {
      process.stdout.write(`${configHelp()}\n`)
    })
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // commander has printed help or its message already.
    if (error instanceof Error && 'exitCode' in error) return error.exitCode === 0 ? STOPPED : TO_MEND
    throw error
  }
  return code
}

async function printStatus(file: string, json: boolean): Promise<number> {
  try {
    // Without a configuration of one's own there is still the service.
    const stateDir = existsSync(file) ? loadAgentConfig(file).stateDir : dirname(file)
    for (const path of agentSockets(stateDir)) {
      const status = await askAgent(path, { command: 'status' })
      if (status === undefined) continue
      const text = json ? JSON.stringify(status, null, 2) : describeStatus(status as AgentStatus)
      process.stdout.write(`${text}\n`)
      return STOPPED
    }
    process.stderr.write(
      `kestrel-agent: no agent runs (nobody answers on ${agentSockets(stateDir).join(' or ')}): ` +
        'start it with "sudo systemctl start kestrel-agent" or "kestrel-agent run"\n',
    )
    return FAILED
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`kestrel-agent: ${error.message}\n`)
    return TO_MEND
  }
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
