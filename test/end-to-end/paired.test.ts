import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildDeepLab } from '@kestrel/models'
import t from 'tap'
import { bins, freePort, start, waitFor } from '../support/processes.js'
import { sceneClasses, scenePalette, writeScene } from '../support/scene.js'

t.setTimeout(900_000)

t.test(
  'three commands pair a drone with a ground station; it learns over TLS, until it is revoked',
  async t => {
    const dir = mkdtempSync(join(tmpdir(), 'kestrel-pair-'))
    const scene = writeScene(dir, { seconds: 10, fps: 5, width: 128, height: 96, seed: 3 })
    const student = join(dir, 'student.onnx')
    const model = { classes: sceneClasses, palette: scenePalette, width: 64, height: 48 }
    writeFileSync(student, buildDeepLab({ ...model, widthMultiplier: 0.25, seed: 1 }))
    const write = (name: string, value: unknown) => {
      const file = join(dir, name)
      writeFileSync(file, JSON.stringify(value)) // JSON is YAML
      return file
    }
    const port = await freePort()
    const groundFile = write('ground.yaml', {
      listen: { host: '0.0.0.0', port },
      student,
      teacher: `labels:${scene.labels}`,
      stateDir: join(dir, 'ground-state'),
      ams: {
        updatePeriodS: 2,
        iterations: 2,
        batchSize: 4,
        holdOutFraction: 0,
        asr: { maxFps: 5, fps: 5, minFps: 2 },
      },
      dashboard: { enabled: false },
    })
    const agentOptions = {
      drone: 'scout-1',
      student,
      stateDir: join(dir, 'agent-state'),
      camera: { source: scene.frames, fps: 5, loop: true },
      sampling: { fps: 5, minFps: 1, maxFps: 5 },
      uplink: { periodS: 2 },
      threads: 1,
    }
    const agentFile = write('agent.yaml', agentOptions)
    const strangerFile = write('stranger.yaml', {
      ...agentOptions,
      drone: 'scout-9',
      stateDir: join(dir, 'stranger-state'),
      broker: `mqtt://127.0.0.1:${port}`,
    })
    const running: ReturnType<typeof start>[] = []
    t.teardown(async () => {
      await Promise.all(running.map(process => process.stop('SIGKILL')))
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    const run = (bin: string, args: string[]) => {
      const process = start(bin, args, { cwd: dir })
      running.push(process)
      return process
    }
    const pair = ['pair', '--config', groundFile, '--host', '127.0.0.1']
    const told = async (what: string, process: ReturnType<typeof start>, pattern: RegExp) => {
      const found = await waitFor(what, () => pattern.exec(process.output()) ?? undefined, {
        timeoutS: 150,
        context: () => running.map(({ output }) => output()).join('\n---\n'),
      })
      return found[1] ?? found[0]
    }

    const ground = run(bins.ground, ['start', '--config', groundFile])
    await told('a ground station without drones', ground, /No drone is paired yet/)
    const serving = run(bins.ground, [...pair, 'scout-1', '--serve'])
    const url = await told('the address', serving, /kestrel-agent pair '(https:\S+)'/)
    t.equal(await run(bins.agent, ['pair', url, '--config', agentFile]).ended, 0)
    t.equal(await serving.ended, 0, 'who serves ends when the credentials were fetched')
    t.match(serving.output(), /scout-1 has its credentials/)
    const kept = join(agentOptions.stateDir, 'credentials.json')
    t.equal(statSync(kept).mode & 0o777, 0o600)
    const { secret, broker } = JSON.parse(readFileSync(kept, 'utf8')) as { secret: string; broker: string }
    t.equal(broker, `mqtts://127.0.0.1:${port}`)

    const agent = run(bins.agent, ['run', '--config', agentFile])
    await told('an update', agent, /Update \d+ flies/)
    const stranger = run(bins.agent, ['check', '--config', strangerFile])
    await stranger.ended
    t.match(
      stranger.output(),
      /it takes paired drones only: kestrel-ground pair NAME there, kestrel-agent pair here/,
    )
    await told('what the ground says of it', ground, /connected without TLS, as a drone that is not paired/)

    const listed = run(bins.ground, ['pair', '--config', groundFile, '--list'])
    await listed.ended
    t.match(listed.output(), /^scout-1 +paired 20/m)
    t.equal(await run(bins.ground, ['pair', '--config', groundFile, '--revoke', 'scout-1']).ended, 0)
    await told('the revocation', ground, /scout-1 is cut off/)
    await told('the reason', agent, /it does not know this drone any more/)
    t.equal(agent.child.exitCode, null, 'it flies on')
    t.equal(await agent.stop('SIGTERM'), 0)
    t.equal(await ground.stop('SIGINT'), 0)
    const token = /pair\/([\w-]+)#/.exec(url)![1]
    for (const { output } of [ground, agent, stranger, listed]) {
      t.notOk(output().includes(secret), 'no secret was said')
      t.notOk(output().includes(token))
    }
  },
)
