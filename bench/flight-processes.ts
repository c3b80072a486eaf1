import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Writes the configurations of ground station and agent. @returns their files */
export function writeConfigurations(options: {
  folder: string
  student: string
  scenario: string
  fps: number
  brokerPort: number
  epochMs: number
  endpoint: string
}): { ground: string; agent: string } {
  const { folder, student, scenario, fps, brokerPort, epochMs, endpoint } = options
  const source = `sim:${scenario}?fps=${fps}&size=512x288&epoch=${epochMs}`
  const write = (name: string, value: object) => {
    const file = join(folder, name)
    writeFileSync(file, JSON.stringify(value, null, 2))
    return file
  }
  return {
    ground: write('ground.yaml', {
      listen: { port: brokerPort },
      student,
      teacher: `labels:${source}`,
      stateDir: join(folder, 'ground-state'),
      ams: { updatePeriodS: 10 },
      dashboard: { enabled: false },
    }),
    agent: write('agent.yaml', {
      drone: 'bench',
      broker: `mqtt://127.0.0.1:${brokerPort}`,
      student,
      stateDir: join(folder, 'agent-state'),
      camera: { source },
      vehicle: { endpoint },
    }),
  }
}

/** Starts one of the entry points; what it says goes to a file in the folder. */
export function start(folder: string, bin: string, args: string[], nice: number): ChildProcess {
  const log = createWriteStream(join(folder, `${bin.split('/').at(-1)}.log`))
  const child = spawn(process.execPath, [join(root, bin), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  process.once('exit', () => child.kill('SIGKILL'))
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  if (nice > 0 && child.pid !== undefined) setPriority(child.pid, nice)
  return child
}
