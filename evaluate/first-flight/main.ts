import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, relative, resolve } from 'node:path'
import { createProgress } from '../report/progress.js'
import { trainFirstStudent } from './pretrain.js'
import { sceneClasses, scenePalette, writeScene } from './scene.js'

/**
 * `npm start`: the whole thing at work for someone who has just cloned it and has no drone, no footage and no models. A small world is
 * made up, a student trained on how it looks at the beginning, and then the world drifts while the real ground station and the real
 * agent, two processes over MQTT on loopback, keep the student up with it. At the end the same flight is scored with and without.
 */
const help = `npm start [-- --seconds N]

Makes a small world whose colours drift, trains a student on its first 10 seconds, and flies it: ground station and agent
as separate processes, MQTT between them on 127.0.0.1. Then scores that flight with and without learning.
Nothing leaves this machine; everything is written to out/first-flight.

  --seconds N   length of the flight, 30 to 600 (default 90)`

const root = resolve(import.meta.dirname, '../../..')
const size = { width: 128, height: 96 }
const fps = 8

async function main(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(help)
    return 0
  }
  const seconds =
    args.length === 0 ? 90 : args.length === 2 && args[0] === '--seconds' ? Number(args[1]) : Number.NaN
  if (!(seconds >= 30 && seconds <= 600)) {
    console.error(
      `expected no arguments or --seconds N with N from 30 to 600; found ${args.join(' ')}\n\n${help}`,
    )
    return 2
  }
  const dir = join(root, 'out/first-flight')
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })

  say(`A world of ${seconds} s whose colours drift, in ${relative(process.cwd(), dir) || '.'}`)
  const scene = writeScene(dir, { seconds, fps, ...size, seed: 1 })
  say('A student that knows the first 10 s of it')
  const student = join(dir, 'student.onnx')
  const known = 10 * fps
  const world = { scene, classes: sceneClasses, palette: scenePalette, size }
  writeFileSync(
    student,
    await trainFirstStudent({ ...world, known, iterations: 120, seed: 1, progress: createProgress() }),
  )

  say('The flight: two processes, one broker. Watch the hold-out mIoU and the versions')
  const { ground, agent } = writeConfigs(dir, { student, scene, port: await freePort() })
  const groundStation = run('ground-station/bin/kestrel-ground.js', ['start', '--config', ground])
  const drone = run('agent/bin/kestrel-agent.js', ['run', '--config', agent])
  const interrupted = once(process, 'SIGINT').then(() => 'interrupted' as const)
  const first = await Promise.race([drone.ended, groundStation.ended, interrupted])
  for (const { child } of [drone, groundStation]) if (child.exitCode === null) child.kill('SIGTERM')
  const codes = await Promise.all([drone.ended, groundStation.ended])
  if (first === 'interrupted') return 130
  if (codes.some(code => code !== 0)) return 1

  say('The same flight on a virtual clock, without learning and with it')
  const score = run('ground-station/bin/kestrel-ground.js', [
    ...['evaluate', '--video', scene.frames, '--fps', String(fps), '--teacher', `labels:${scene.labels}`],
    ...[
      '--student',
      student,
      '--schemes',
      'none,ams',
      '--set',
      'updatePeriodS=5',
      '--out',
      join(dir, 'score'),
    ],
  ])
  return (await score.ended) ?? 1
}

function say(sentence: string): void {
  console.log(`\n== ${sentence}`)
}

function run(bin: string, args: string[]) {
  const child = spawn(process.execPath, [join(root, bin), ...args], { stdio: 'inherit' })
  return { child, ended: once(child, 'exit').then(([code]) => code as number | null) }
}

function writeConfigs(
  dir: string,
  options: { student: string; scene: { frames: string; labels: string }; port: number },
): { ground: string; agent: string } {
  const { student, scene, port } = options
  const write = (name: string, value: object): string => {
    const file = join(dir, name)
    // JSON is YAML too.
    writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
    return file
  }
  return {
    ground: write('ground.yaml', {
      listen: { port },
      student,
      teacher: `labels:${scene.labels}`,
      stateDir: join(dir, 'ground-state'),
      ams: { updatePeriodS: 5 },
    }),
    agent: write('agent.yaml', {
      drone: 'first-flight',
      broker: `mqtt://127.0.0.1:${port}`,
      student,
      stateDir: join(dir, 'agent-state'),
      camera: { source: scene.frames, fps },
      uplink: { periodS: 5 },
    }),
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

process.exitCode = await main(process.argv.slice(2))
