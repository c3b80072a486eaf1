import { createLog, type Log, stopSignal } from '@kestrel/runtime'
import { Command } from 'commander'
import { groundConfigSchema, loadGroundConfig } from './config.js'
import { describeConfig } from './describe-config.js'
import { startGround } from './start.js'

/** `kestrel-ground start`: runs until SIGINT or SIGTERM. */
export function startCommand(): Command {
  return new Command('start')
    .description('run the ground station: the broker, the teacher and the training')
    .requiredOption('-c, --config <file>', 'the configuration, ground.yaml')
    .action(async ({ config: file }: { config: string }) => {
      const config = loadGroundConfig(file)
      const log = createLog('ground', config.log)
      const ended = await runUntilSignal(log, onLost => startGround({ config, log, onLost }))
      process.exit(ended)
    })
}

/** `kestrel-ground config`: prints every setting with its default and help. */
export function configCommand(): Command {
  return new Command('config')
    .description('print every setting of ground.yaml with its default and what it does')
    .action(() => {
      process.stdout.write(`${describeConfig(groundConfigSchema)}\n`)
    })
}

/** @returns the exit code */
async function runUntilSignal(
  log: Log,
  start: (onLost: (error: Error) => void) => Promise<{ stop: () => Promise<void> }>,
): Promise<number> {
  let end: (code: number) => void = () => {}
  const ended = new Promise<number>(resolve => {
    end = resolve
  })
  stopSignal(name => {
    log.info(`${name}: stopping after the iteration that runs (once more: at once)`)
    end(0)
  })
  const running = await start(error => {
    log.error(`The learner is lost: ${error.message}`, { stack: error.stack })
    end(1)
  })
  const code = await ended
  if (code === 0) {
    await running.stop()
    log.info('Stopped; the training state is saved')
  }
  return code
}
