import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildDeepLab } from '@kestrel/models'
import t, { type Test } from 'tap'
import { observeChain } from '../support/chain-observer.js'
import { bins, freePort, type Running, start, waitFor } from '../support/processes.js'
import { sceneClasses, scenePalette, writeScene } from '../support/scene.js'
import { needs, sharedPath } from '../support/shared.js'

// Generous: the machine may be a small one, and busy.
t.setTimeout(600_000)

interface Setup {
  dir: string
  url: string
  startGround(): Running
  startAgent(): Running
}

/** Writes both configurations as a user would, and a student that knows nothing yet. */
async function setUp(options: {
  dir: string
  classes: string[]
  palette?: [number, number, number][]
  camera: Record<string, unknown>
  teacher: string
  size: { width: number; height: number }
}): Promise<Setup> {
  const { dir, classes, palette, camera, teacher, size } = options
  const student = join(dir, 'student.onnx')
  writeFileSync(student, buildDeepLab({ classes, palette, ...size, widthMultiplier: 0.25, seed: 1 }))
  const port = await freePort()
  const write = (name: string, value: unknown) => {
    const file = join(dir, name)
    writeFileSync(file, JSON.stringify(value)) // JSON is YAML
    return file
  }
  const ground = write('ground.yaml', {
    listen: { port },
    student,
    teacher,
    stateDir: join(dir, 'ground-state'),
    // The gate is off: this test is about the chain, and every phase should move it.
    ams: {
      updatePeriodS: 2,
      iterations: 2,
      batchSize: 4,
      holdOutFraction: 0,
      asr: { maxFps: 5, fps: 5, minFps: 2 },
    },
  })
  const agent = write('agent.yaml', {
    drone: 'kes1',
    broker: `mqtt://127.0.0.1:${port}`,
    student,
    stateDir: join(dir, 'agent-state'),
    camera,
    sampling: { fps: 5, minFps: 1, maxFps: 5 },
    uplink: { periodS: 2 },
    threads: 1,
  })
  return {
    dir,
    url: `mqtt://127.0.0.1:${port}`,
    startGround: () => start(bins.ground, ['start', '--config', ground]),
    startAgent: () => start(bins.agent, ['run', '--config', agent]),
  }
}

async function fly(t: Test, setup: Setup, { restarts }: { restarts: boolean }) {
  const timeoutS = 150
  // The agent first: it must fly without a ground station, and find it when it comes.
  let agent = setup.startAgent()
  let ground = setup.startGround()
  const observer = observeChain(setup.url)
  t.teardown(async () => {
    await observer.close()
    await Promise.all([agent.stop('SIGKILL'), ground.stop('SIGKILL')])
    rmSync(setup.dir, { recursive: true, force: true, maxRetries: 5 })
  })
  const context = () =>
    `applied: ${JSON.stringify(observer.applied)}\n--- ground\n${ground.output()}\n--- agent\n${agent.output()}`
  const applied = (count: number) =>
    waitFor(
      `${count} applied updates`,
      () => (observer.applied.length >= count ? observer.applied : undefined),
      {
        timeoutS,
        context,
      },
    )

  await applied(3)
  t.same(observer.faults, [], 'the chain is sound')

  if (restarts) await restartBoth()
  await land()

  async function restartBoth() {
    await ground.stop('SIGKILL')
    const before = observer.applied.length
    ground = setup.startGround()
    await applied(before + 2)
    t.same(observer.faults, [], 'the chain is sound after the ground station was killed and came back')
    t.equal(agent.child.exitCode, null, 'the agent flew on')

    await agent.stop('SIGKILL')
    const lastFlown = observer.applied.at(-1)?.version ?? -1
    await waitFor('the last will', () => observer.statuses.at(-1)?.online === false, {
      timeoutS,
      context,
    })
    const statusesBefore = observer.statuses.length
    const appliedBefore = observer.applied.length
    agent = setup.startAgent()
    const status = await waitFor(
      'the status of the restarted agent',
      () => observer.statuses.slice(statusesBefore).find(({ online }) => online),
      { timeoutS, context },
    )
    t.ok(
      status.version >= lastFlown,
      `it flies what it learned: version ${status.version}, last seen ${lastFlown}`,
    )
    await applied(appliedBefore + 2)
    t.same(observer.faults, [], 'the chain is sound after the agent was killed and came back')
    t.ok(
      observer.applied.every(({ version }, i, all) => i === 0 || version > all[i - 1].version),
      'versions only grow',
    )
  }

  async function land() {
    t.equal(
      await agent.stop('SIGTERM'),
      0,
      `the agent stops cleanly on SIGTERM\n${agent.output().slice(-1500)}`,
    )
    t.equal(
      await ground.stop('SIGINT'),
      0,
      `the ground station stops cleanly on SIGINT\n${ground.output().slice(-1500)}`,
    )
    for (const [name, { output }] of Object.entries({ agent, ground })) {
      t.notMatch(output(), /\n\s+at .*\.(js|ts):\d+/, `no stack trace in the log of ${name}`)
    }
  }
}

t.test('three processes on a synthetic world: learning survives the loss of either side', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-loop-'))
  const scene = writeScene(dir, { seconds: 20, fps: 5, width: 128, height: 96, seed: 3 })
  const setup = await setUp({
    dir,
    classes: sceneClasses,
    palette: scenePalette,
    camera: { source: scene.frames, fps: 5, loop: true },
    teacher: `labels:${scene.labels}`,
    size: { width: 64, height: 48 },
  })
  await fly(t, setup, { restarts: true })
})

const clip = sharedPath('data/aerial/karma.mp4')
const teacher = sharedPath('models/safeuav-430k-480x272.onnx')
t.test('three processes on a real flight with a real teacher', needs(clip, teacher), async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-loop-'))
  const setup = await setUp({
    dir,
    classes: ['land', 'forest', 'residential', 'road', 'little-objects', 'water', 'sky', 'hill'],
    camera: { source: clip, loop: true },
    teacher: teacher as string,
    size: { width: 128, height: 72 },
  })
  await fly(t, setup, { restarts: false })
})
