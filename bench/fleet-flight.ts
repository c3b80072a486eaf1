import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { drawRoute } from '@kestrel/evaluate'
import { startBroker } from '@kestrel/ground-station'
import { type Connection, connectMqtt, decodeEnvelope, everyDrone, type Telemetry } from '@kestrel/link'
import { readStudentFile } from '@kestrel/models'
import { RealClock, silentLog, UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { encode } from 'fast-png'
import { freePort, root, startProcess, stopProcesses } from './processes.js'

const clock = new RealClock()

/** Of the scenario that all cameras play, s. */
const SCENE_S = 60

interface Options {
  drones: number
  fps: number
  seconds: number
  student: string
}

/** What the drones said, by name. */
interface Heard {
  telemetry: Map<string, Telemetry[]>
  updates: number
  refused: number
}

interface Figures {
  /** Frames that were labelled, of those that the cameras gave, 0..1. */
  labelledShare: number
  fps: number
  dropped: number
  latencyP50Ms: number
  latencyP99Ms: number
  updates: number
}

/**
 * Several agents and one ground station on this machine: do the agents keep to their frame budget (1/fps from camera to label) while
 * the ground station trains? The same agents fly first without it, then with it.
 *
 * The last line is JSON.
 */
export async function benchFleetFlight(argv: string[]): Promise<void> {
  const command = new Command('fleet-flight')
    .option('--drones <n>', 'agents', Number, 4)
    .option('--fps <n>', 'of each camera', Number, 5)
    .option('--seconds <n>', 'that each half is measured', Number, 90)
    .option('--student <file>', 'of all', join(root, 'models/student-aerial8-256x144.onnx'))
    .parse(argv, { from: 'user' })
  const options = command.opts<Options>()
  const { drones, fps, seconds } = options
  if (!(Number.isInteger(drones) && drones >= 1 && drones <= 32 && fps > 0 && seconds >= 5))
    throw new UserError('--drones is a whole number from 1 to 32, --fps above 0, --seconds from 5')
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-bench-fleet-'))
  const { agents, ground, port } = await writeFiles(folder, options)
  const broker = await startBroker({ host: '127.0.0.1', port, log: silentLog })
  const heard: Heard = { telemetry: new Map(), updates: 0, refused: 0 }
  const observer = observe(broker.url, heard)
  const processes = agents.map(file => start(folder, 'agent', file))
  console.log(`${drones} agents at ${fps} fps; logs in ${folder}`)
  const alive = () => {
    const dead = processes.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
    if (dead !== undefined) throw new UserError(`${dead.spawnargs[1]} ended; its log is in ${folder}`)
  }
  const until = async (what: string, condition: () => boolean) => {
    for (const endMs = clock.nowMs() + 180_000; !condition(); await clock.sleep(200)) {
      alive()
      if (clock.nowMs() > endMs) throw new UserError(`Waited in vain for ${what}; see the logs in ${folder}`)
    }
  }
  const measured = async () => {
    for (const list of heard.telemetry.values()) list.splice(0, list.length - 1)
    heard.updates = 0
    await clock.sleep(1000 * seconds)
    alive()
    return figures(heard, options)
  }
  try {
    await until(
      'the agents',
      () =>
        heard.telemetry.size === drones &&
        [...heard.telemetry.values()].every(list => list[list.length - 1].frames > 2 * fps),
    )
    const without = await measured()
    processes.push(start(folder, 'ground', ground))
    await until('the first updates', () => heard.updates >= drones)
    const training = await measured()
    const row = (of: Figures) => ({
      'frames labelled': `${(100 * of.labelledShare).toFixed(2)} %`,
      'fps of each': of.fps.toFixed(2),
      'frames dropped': of.dropped,
      'p50, ms': of.latencyP50Ms.toFixed(1),
      'p99, ms': of.latencyP99Ms.toFixed(1),
      updates: of.updates,
    })
    console.table({ 'without training': row(without), 'with training': row(training) })
    const budgetMs = 1000 / fps
    const result = {
      bench: 'fleet-flight',
      drones,
      fps,
      seconds,
      budgetMs,
      without,
      training,
      refused: heard.refused,
    }
    console.log(JSON.stringify(result))
  } finally {
    await stopProcesses(processes)
    await observer.close()
    await broker.close()
  }
}

function start(folder: string, side: 'agent' | 'ground', file: string): ChildProcess {
  const name = file.split('/').at(-1)!.replace('.yaml', '')
  const bin = side === 'agent' ? 'agent/bin/kestrel-agent.js' : 'ground-station/bin/kestrel-ground.js'
  return startProcess({ name, bin, args: [side === 'agent' ? 'run' : 'start', '--config', file], folder })
}

/** A minute of flight as pictures, its exact labels, and the configurations. */
async function writeFiles(folder: string, { drones, fps, student: given }: Options) {
  const file = resolve(given)
  const student = readStudentFile(file)
  const { width, height } = student.input
  const { classes } = student
  const [frames, labels] = ['frames', 'labels'].map(name => join(folder, name))
  for (const each of [frames, labels]) mkdirSync(each)
  writeFileSync(join(labels, 'classes.json'), JSON.stringify({ classes }))
  drawRoute({ scenario: 'winter-forest', fromS: 20 }, { seconds: SCENE_S, width, height, classes }).forEach(
    ({ image, labels: { data } }, i) => {
      const name = `${String(i).padStart(4, '0')}.png`
      writeFileSync(join(frames, name), encode({ width, height, channels: 3, depth: 8, data: image.data }))
      writeFileSync(join(labels, name), encode({ width, height, channels: 1, depth: 8, data }))
    },
  )
  const port = await freePort()
  const broker = `mqtt://127.0.0.1:${port}`
  const write = (name: string, value: object) => {
    const path = join(folder, `${name}.yaml`)
    writeFileSync(path, JSON.stringify(value, null, 2))
    return path
  }
  const agents = Array.from({ length: drones }, (_, i) =>
    write(`agent-${i + 1}`, {
      drone: `bench-${i + 1}`,
      broker,
      student: file,
      stateDir: join(folder, `agent-state-${i + 1}`),
      camera: { source: frames, fps, loop: true },
      threads: 1,
    }),
  )
  const ground = write('ground', {
    broker,
    student: file,
    teacher: `labels:${labels}`,
    stateDir: join(folder, 'ground-state'),
    dashboard: { enabled: false },
  })
  return { agents, ground, port }
}

function observe(url: string, heard: Heard): Connection {
  const connection = connectMqtt({ url, clientId: 'bench-observer', log: silentLog })
  const take = (name: string, bytes: Uint8Array) => {
    const { payload } = decodeEnvelope(bytes)
    const drone = name.split('/').at(-2)!
    if (payload.case === 'telemetry')
      heard.telemetry.set(drone, [...(heard.telemetry.get(drone) ?? []), payload.value])
    else if (payload.case === 'updateResult') heard[payload.value.applied ? 'updates' : 'refused']++
  }
  for (const what of ['telemetry', 'update-result'] as const)
    connection.subscribe(everyDrone(what), take).catch(() => {})
  return connection
}

function figures({ telemetry, updates }: Heard, { fps }: Options): Figures {
  const drones = [...telemetry.values()]
  const sum = (of: (first: Telemetry, last: Telemetry) => number) =>
    drones.reduce((total, list) => total + of(list[0], list[list.length - 1]), 0)
  const labelled = sum((first, last) => Number(last.frames - first.frames))
  const dropped = sum((first, last) => Number(last.framesDropped - first.framesDropped))
  const overS = sum((first, last) => Number(last.timeUs - first.timeUs) / 1e6)
  const all = drones.flatMap(list => list.slice(1))
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
  return {
    labelledShare: labelled / (overS * fps),
    fps: labelled / overS,
    dropped,
    latencyP50Ms: median(all.map(({ latencyP50Ms }) => latencyP50Ms)),
    latencyP99Ms: median(all.map(({ latencyP99Ms }) => latencyP99Ms)),
    updates,
  }
}
