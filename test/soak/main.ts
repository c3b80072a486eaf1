import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from '@kestrel/runtime'
import { soak } from './soak.js'

// `npm run soak`: hours of flight with real processes on this machine.

const help = `npm run soak -- [options]

  --hours H      how long faults and kills go on (or --minutes M; 10 minutes without), then a calm minute
  --drones N     agents, each with its own vehicle and its own bad link (1)
  --faults       outages, half-open links, 32 kbit/s with 2 s round trips, loss, restarts, states of yesterday
  --kills K      kill -9 of any process, that many times at random (0)
  --seed S       of faults and kills (1)
  --out DIR      configurations, logs, states (out/soak)
  --json FILE    the verdict once more as a file

It says once a minute how it goes. At the end: a verdict and, as its last line, JSON. Exit code 0: all is well; 1: something is not.`

function number(text: string | undefined, name: string, fallback: number, least = 0): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isFinite(value) && value >= least) return value
  throw new UserError(`--${name} is ${JSON.stringify(text)}: expected a number of at least ${least}`)
}

async function main(argv: string[]): Promise<number> {
  let values: ReturnType<typeof read>
  try {
    values = read(argv)
  } catch (error) {
    throw new UserError(`${(error as Error).message}\n\n${help}`)
  }
  if (values.help) {
    console.log(help)
    return 0
  }
  const minutes =
    values.hours === undefined ? number(values.minutes, 'minutes', 10) : 60 * number(values.hours, 'hours', 1)
  const dir = resolve(values.out ?? 'out/soak')
  const verdict = await soak({
    minutes,
    drones: number(values.drones, 'drones', 1, 1),
    kills: number(values.kills, 'kills', 0),
    faults: values.faults === true,
    seed: number(values.seed, 'seed', 1),
    dir,
    say: line => console.log(line),
  })
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(verdict, null, 2)}\n`)
  console.log(
    verdict.ok
      ? '\nAll is well.'
      : `\nNot well:\n${verdict.problems.map(problem => `  ${problem}`).join('\n')}`,
  )
  console.log(`Logs: ${join(dir, '*.log')}`)
  console.log(JSON.stringify(verdict))
  return verdict.ok ? 0 : 1
}

function read(args: string[]) {
  const text = { type: 'string' } as const
  const options = {
    hours: text,
    minutes: text,
    drones: text,
    kills: text,
    seed: text,
    out: text,
    json: text,
    faults: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const
  return parseArgs({ args, options }).values
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof UserError)) throw error
  console.error(error.message)
  process.exit(2)
}
