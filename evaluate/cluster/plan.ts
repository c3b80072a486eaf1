import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { UserError } from '@kestrel/runtime'
import type { Member } from '../demo/crew.js'
import { freePort } from '../demo/free-port.js'

/** Drawing takes a good part of a core: small pictures, and few of them. */
const CAMERA = 'fps=2&size=256x144'
const SCENARIO = 'valley-to-town'

export interface ClusterPlan {
  server: Member
  trainers: Member[]
  drones: Member[]
  brokerUrl: string
  natsUrl: string
}

/**
 * Writes configurations as people would for a cluster of their own.
 *
 * @param options.out folder for them, which is there
 * @throws UserError where there is no nats-server
 */
export async function writePlan(options: {
  out: string
  student: string
  trainers: number
  drones: number
}): Promise<ClusterPlan> {
  const { out, student } = options
  const [natsPort, brokerPort] = [await freePort(), await freePort()]
  const brokerUrl = `mqtt://127.0.0.1:${brokerPort}`
  const natsUrl = `nats://127.0.0.1:${natsPort}`
  const write = (name: string, text: string) => {
    const file = join(out, name)
    writeFileSync(file, text)
    return file
  }
  // JSON is YAML too.
  const yaml = (name: string, value: object) => write(name, `${JSON.stringify(value, null, 2)}\n`)
  const natsFile = write(
    'nats.conf',
    `server_name: example
listen: 127.0.0.1:${natsPort}
max_payload: 17MB # the largest message of a drone
jetstream { store_dir: ${JSON.stringify(join(out, 'nats'))} }
mqtt { listen: 127.0.0.1:${brokerPort} }
`,
  )
  const source = `sim:${SCENARIO}?${CAMERA}&epoch=${Date.now()}`
  mkdirSync(join(out, 'logs'))
  const trainers: Member[] = []
  for (let i = 1; i <= options.trainers; i++) {
    const name = `trainer-${i}`
    const file = yaml(`${name}.yaml`, {
      broker: brokerUrl,
      cluster: { name, servers: [natsUrl] },
      identity: join(out, 'identity'),
      student,
      teacher: `labels:${source}`,
      stateDir: join(out, name),
      training: { threads: 1 },
      dashboard: { port: await freePort() },
    })
    trainers.push({
      name,
      bin: 'ground-station/bin/kestrel-ground.js',
      args: ['start', '--config', file],
      nice: 8,
    })
  }
  const drones = Array.from({ length: options.drones }, (_, i): Member => {
    const name = `drone-${i + 1}`
    const file = yaml(`${name}.yaml`, {
      drone: name,
      broker: brokerUrl,
      student,
      stateDir: join(out, name),
      camera: { source },
      threads: 1,
    })
    return { name, bin: 'agent/bin/kestrel-agent.js', args: ['run', '--config', file], nice: 0 }
  })
  const server: Member = { name: 'nats-server', bin: natsServer(), args: ['-c', natsFile], nice: 0 }
  return { server, trainers, drones, brokerUrl, natsUrl }
}

/** @throws UserError where there is none */
function natsServer(): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
  const found = folders.map(folder => join(folder, 'nats-server')).find(file => existsSync(file))
  if (found !== undefined) return found
  throw new UserError(
    'nats-server is not installed: apt install nats-server (Debian, Ubuntu), or put it into a folder of PATH (https://nats.io/download)',
  )
}
