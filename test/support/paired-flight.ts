import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AgentStatus,
  askAgent,
  pairAgent,
  parseAgentConfig,
  type RunningAgent,
  startAgent,
} from '@kestrel/agent'
import {
  DroneRegistry,
  type GroundConfig,
  groundConfigSchema,
  openIdentity,
  pairDrone,
  type RunningGround,
  startGround,
} from '@kestrel/ground-station'
import type { Credentials } from '@kestrel/link'
import { type Log, parseConfig } from '@kestrel/runtime'
import { encode } from 'fast-png'
import type { Test } from 'tap'
import { colourTeacher, tinyStudent, WORLD, worldClasses, worldImage } from './ground.js'
import { waitFor } from './processes.js'

const FRAMES = 20

/** A log that keeps every line, whatever its level. */
export function keptLog(): Log & { lines: string[] } {
  const lines: string[] = []
  const line = (level: string) => (message: string, figures?: Record<string, unknown>) =>
    void lines.push(`${level}: ${message} ${figures === undefined ? '' : JSON.stringify(figures)}`)
  const log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  const kept: Log & { lines: string[] } = { ...log, lines, child: () => kept }
  return kept
}

/** A ground station and a drone that was paired with it: the real ones, in this process, over a real broker. */
export interface PairedFlight {
  drone: string
  credentials: Credentials
  /** Of another drone that is paired here. */
  others: Credentials
  ground: RunningGround
  agent: RunningAgent
  log: ReturnType<typeof keptLog>
  /** Keys and secrets that nobody may see in a log. */
  secrets: string[]
  status(): Promise<AgentStatus>
  /** Waits until further updates fly. */
  learns(updates: number): Promise<void>
}

/** @param changes to the ground's configuration */
export async function startPairedFlight(
  t: Test,
  changes: Partial<Record<keyof GroundConfig, unknown>>,
): Promise<PairedFlight> {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-paired-'))
  const drone = 'scout-1'
  const student = join(dir, 'student.onnx')
  writeFileSync(student, tinyStudent().bytes)
  for (const folder of ['frames', 'labels']) mkdirSync(join(dir, folder))
  writeFileSync(join(dir, 'labels', 'classes.json'), JSON.stringify({ classes: worldClasses }))
  for (let i = 0; i < FRAMES; i++) {
    const image = worldImage(i)
    const labels = await colourTeacher().label(image, { sourceIndex: i, captureMs: 0 })
    const picture = (channels: number, data: Uint8Array) => encode({ ...WORLD, channels, depth: 8, data })
    writeFileSync(join(dir, 'frames', `${String(i).padStart(3, '0')}.png`), picture(3, image.data))
    writeFileSync(join(dir, 'labels', `${String(i).padStart(3, '0')}.png`), picture(1, labels.data))
  }
  const config = parseConfig(
    {
      student,
      teacher: `labels:${join(dir, 'labels')}`,
      stateDir: join(dir, 'ground'),
      training: { threads: 1 },
      ams: { updatePeriodS: 1, iterations: 3, batchSize: 4, fraction: 0.3, alpha: 5e-3, holdOutFraction: 0 },
      ...changes,
    },
    groundConfigSchema,
    'the test',
  )
  const log = keptLog()
  const identity = await openIdentity(join(config.stateDir, 'identity'))
  const registry = new DroneRegistry(identity)
  const credentialsOf = (name: string) =>
    pairDrone(name, { config, identity, registry, host: '127.0.0.1', at: 0 })
  const [credentials, others] = [credentialsOf(drone), credentialsOf('scout-2')]
  const given = join(dir, 'given.json')
  writeFileSync(given, JSON.stringify(credentials))
  const agentFile = join(dir, 'agent.yaml')
  const options = {
    drone,
    student,
    stateDir: join(dir, 'agent'),
    camera: { source: join(dir, 'frames'), fps: 10, loop: true },
    sampling: { fps: 5, minFps: 1, maxFps: 5 },
    uplink: { periodS: 1 },
    threads: 1,
  }
  writeFileSync(agentFile, JSON.stringify(options))
  await pairAgent(given, agentFile)
  const ground = await startGround({ config, log, onLost: error => t.fail(error.message) })
  const agent = await startAgent(parseAgentConfig(options), { log })
  t.teardown(async () => {
    await agent.stop()
    await ground.stop()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  const status = async () =>
    (await askAgent(join(options.stateDir, 'agent.sock'), { command: 'status' })) as AgentStatus
  const flown = () => log.lines.filter(line => /Update \d+ flies/.test(line)).length
  return {
    drone,
    credentials,
    others,
    ground,
    agent,
    log,
    secrets: [
      credentials.secret,
      others.secret,
      identity.authority.key.split('\n')[1],
      identity.signingKey.export({ type: 'pkcs8', format: 'pem' }).toString().split('\n')[1],
    ],
    status,
    async learns(updates) {
      const before = flown()
      await waitFor(`${updates} updates`, () => flown() >= before + updates, {
        timeoutS: 240,
        context: () => log.lines.slice(-40).join('\n'),
      })
    },
  }
}
