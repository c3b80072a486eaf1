import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { stopSignal, UserError } from '@kestrel/runtime'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { Crew } from '../demo/crew.js'
import { writePlan } from './plan.js'
import { ClusterWatch } from './watch.js'

// `npm run cluster`: a NATS server, three trainers and drones that they share, on this machine.

const root = resolve(import.meta.dirname, '../../..')

interface Options {
  drones: number
  trainers: number
  student: string
  minutes: number
  out: string
}

const text = `
A NATS server carries everything: MQTT for the drones, leases that say who teaches which, and what each has learned. Kill a trainer with the
command that is printed: within 15 seconds others teach its drones, from where it was. docs/cluster.md says how to have a cluster of your own.`

async function main({ drones, trainers, student, minutes, out: folder }: Options): Promise<void> {
  if (!existsSync(student)) throw new UserError(`There is no student ${student}`)
  const out = resolve(root, folder)
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const plan = await writePlan({ out, student: resolve(student), trainers, drones })
  const beganMs = performance.now()
  const say = (line: string) => {
    const s = Math.round((performance.now() - beganMs) / 1000)
    process.stdout.write(`${String(s).padStart(5)} s  ${line}\n`)
  }
  const crew = new Crew({
    root,
    dir: out,
    onLost: ({ name }, how, command) =>
      say(`${name} has ended (${how}). Start it again in another terminal with\n         ${command}`),
  })
  for (const member of [plan.server, ...plan.trainers, ...plan.drones]) {
    crew.start(member)
    say(`${member.name} (process ${crew.pid(member.name)})`)
  }
  say(`Configurations and logs: ${relative(process.cwd(), out) || '.'}. Ctrl-C ends it all`)
  const watch = new ClusterWatch({ ...plan, say })
  let told = ''
  const interrupted = once(stopSignal(), 'abort')
  const tell = setInterval(() => {
    const busy = plan.drones.map(({ name }) => watch.owner(name)).find(owner => crew.pid(owner) !== undefined)
    if (busy === undefined || busy === told) return
    told = busy
    say(`See ${busy}'s drones move:  kill -9 ${crew.pid(busy)}`)
  }, 3000)
  const over = new Promise<void>(done => void setTimeout(done, 60_000 * minutes).unref())
  await Promise.race(minutes === 0 ? [interrupted] : [interrupted, over])
  clearInterval(tell)
  await watch.close()
  await crew.stop()
}

function count(most: number) {
  return (given: string): number => {
    const value = Number(given)
    if (Number.isInteger(value) && value >= 1 && value <= most) return value
    throw new InvalidArgumentError(`expected 1 to ${most}.`)
  }
}

try {
  await new Command('npm run cluster --')
    .description('several trainers that share drones over a NATS server, on this machine')
    .option('--drones <n>', 'how many', count(8), 2)
    .option('--trainers <n>', 'how many', count(8), 3)
    .option('--student <file>', 'the student', resolve(root, 'models/student-aerial8-256x144.onnx'))
    .option('--minutes <n>', 'how long; until Ctrl-C without', count(120), 0)
    .option('--out <dir>', 'folder for configurations, logs and states, made anew', 'out/cluster')
    .addHelpText('after', text)
    .exitOverride()
    .action(main)
    .parseAsync()
  process.exit(0)
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2)
  if (!(error instanceof UserError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(2)
}
