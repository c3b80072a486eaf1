import { writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import type { Test } from 'tap'
import { Daemon } from './daemon.js'
import { findProgram, type Program } from './debian-package.js'
import { freePort } from './processes.js'

const program = findProgram('nats-server', '/usr/sbin/nats-server')

/** Option for tap: skips where there is no nats-server and none can be got. */
export const needsNats = { skip: typeof program === 'string' && program }

function found(): Program {
  if (typeof program === 'string') throw new Error(program)
  return program
}

/** For commands of the project that look for a nats-server themselves. */
export function natsEnvironment(): NodeJS.ProcessEnv {
  const { path, env } = found()
  return { ...env, PATH: [dirname(path), env.PATH].join(delimiter) }
}

/** A NATS server with JetStream and MQTT on the loopback. @param dir for its configuration and what it keeps */
export async function startNats(
  t: Test,
  dir: string,
): Promise<{ server: Daemon; url: string; mqttUrl: string }> {
  const [port, mqttPort] = [await freePort(), await freePort()]
  const file = join(dir, 'nats.conf')
  writeFileSync(
    file,
    `server_name: test
listen: 127.0.0.1:${port}
max_payload: 17MB
jetstream { store_dir: ${JSON.stringify(join(dir, 'nats'))} }
mqtt { listen: 127.0.0.1:${mqttPort} }
`,
  )
  const server = new Daemon(found(), ['-c', file], /Server is ready/)
  t.teardown(() => server.kill())
  await server.start()
  return { server, url: `nats://127.0.0.1:${port}`, mqttUrl: `mqtt://127.0.0.1:${mqttPort}` }
}
