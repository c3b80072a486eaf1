import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildDeepLab } from '@kestrel/models'
import { freePort } from '../support/processes.js'
import { sceneClasses, scenePalette, writeScene } from '../support/scene.js'
import type { Member } from './crew.js'

/** T_update of the soak, s: short, so that much happens. */
export const PERIOD_S = 4

export interface SoakPlan {
  url: string
  brokerPort: number
  ground: Member
  /** One agent and one vehicle (its autopilot) each. */
  drones: { name: string; agent: (brokerPort: number) => Member; vehicle: Member; stateDir: string }[]
  groundState: string
}

/** Writes scene, student and configurations as a user would; small, so that many processes share a small machine. */
export async function writePlan(dir: string, options: { drones: number; seed: number }): Promise<SoakPlan> {
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  mkdirSync(dir, { recursive: true })
  const { frames, labels } = writeScene(dir, {
    seconds: 30,
    fps: 5,
    width: 128,
    height: 96,
    seed: options.seed,
  })
  const student = join(dir, 'student.onnx')
  const size = { width: 64, height: 48 }
  writeFileSync(
    student,
    buildDeepLab({ classes: sceneClasses, palette: scenePalette, ...size, widthMultiplier: 0.25, seed: 1 }),
  )
  const write = (name: string, value: object): string => {
    const file = join(dir, name)
    writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`) // JSON is YAML
    return file
  }
  const brokerPort = await freePort()
  const groundState = join(dir, 'ground-state')
  const ground = write('ground.yaml', {
    listen: { port: brokerPort },
    student,
    teacher: `labels:${labels}`,
    stateDir: groundState,
    training: { threads: 1 },
    ams: {
      updatePeriodS: PERIOD_S,
      iterations: 4,
      batchSize: 4,
      asr: { fps: 1, minFps: 0.5, maxFps: 1 },
      // Going back is somebody's decision, not a failure: without it, versions only grow.
      rollBack: { enabled: false },
    },
  })
  const drones = await Promise.all(
    Array.from({ length: options.drones }, async (_, i) => {
      const name = `drone-${i + 1}`
      const mavlinkPort = await freePort()
      const stateDir = join(dir, `${name}-state`)
      return {
        name,
        stateDir,
        agent: (port: number): Member => ({
          name,
          bin: 'agent/bin/kestrel-agent.js',
          args: [
            'run',
            '--config',
            write(`${name}.yaml`, {
              drone: name,
              broker: `mqtt://127.0.0.1:${port}`,
              student,
              stateDir,
              camera: { source: frames, fps: 5, loop: true },
              sampling: { fps: 1, minFps: 0.5, maxFps: 1 },
              uplink: { periodS: PERIOD_S, encoder: 'software' },
              threads: 1,
              vehicle: { endpoint: `tcp:127.0.0.1:${mavlinkPort}`, pauseOnGround: false },
            }),
          ],
          nice: 0,
        }),
        vehicle: {
          name: `vehicle-${i + 1}`,
          bin: 'simulator/bin/kestrel-sim.js',
          args: ['fly', 'valley-to-town', '--mavlink-tcp', `127.0.0.1:${mavlinkPort}`],
          nice: 0,
          repeats: true,
        },
      }
    }),
  )
  return {
    url: `mqtt://127.0.0.1:${brokerPort}`,
    brokerPort,
    ground: {
      name: 'ground',
      bin: 'ground-station/bin/kestrel-ground.js',
      args: ['start', '--config', ground],
      nice: 8,
    },
    drones,
    groundState,
  }
}

/** A backup of a state folder, and the way back to it. */
export class Backup {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  get exists(): boolean {
    return existsSync(`${this.#folder}.backup`)
  }

  take(): void {
    if (!existsSync(this.#folder)) return
    rmSync(`${this.#folder}.backup`, { recursive: true, force: true, maxRetries: 5 })
    cpSync(this.#folder, `${this.#folder}.backup`, { recursive: true })
  }

  /** The process whose folder it is must not run. */
  restore(): void {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
    cpSync(`${this.#folder}.backup`, this.#folder, { recursive: true })
  }
}
