import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SlotStore } from '@kestrel/agent'
import { parameterDigest, readParameters } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { bins, freePort, start, waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'
import { tinyStudent } from './support.js'

t.setTimeout(300_000)

async function writeConfig(t: Test, change: Record<string, unknown> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-cli-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { frames } = writeScene(folder, { seconds: 1, fps: 10, width: 48, height: 32, seed: 1 })
  writeFileSync(join(folder, 'tiny.onnx'), tinyStudent().bytes)
  const file = join(folder, 'agent.yaml')
  const config = {
    drone: 'kes1',
    // Nobody listens there.
    broker: `mqtt://127.0.0.1:${await freePort()}`,
    student: 'tiny.onnx',
    camera: { source: frames, fps: 10, loop: true },
    threads: 1,
    ...change,
  }
  writeFileSync(file, JSON.stringify(config))
  return { file, frames }
}

t.test('help teaches; the options are listed', async t => {
  const help = start(bins.agent, ['run', '--help'])
  t.equal(await help.ended, 0)
  t.match(help.output(), /--config <file>/)
  t.match(help.output(), /agent\.example\.yaml/)
  const options = start(bins.agent, ['config'])
  t.equal(await options.ended, 0)
  t.match(options.output(), /uplink\.periodS +10/)
  const mistake = start(bins.agent, ['fly'])
  t.equal(await mistake.ended, 2)
  t.match(mistake.output(), /unknown command 'fly'/)
})

t.test('what a user can mend is one message and exit code 2', async t => {
  const cases: [string, Record<string, unknown>, RegExp][] = [
    ['a typo', { brokr: 'mqtt://x' }, /unknown key "brokr": did you mean "broker"/],
    ['no student', { student: 'nowhere.onnx' }, /Cannot read the model .*nowhere\.onnx/],
    ['a student that is none', { student: 'agent.yaml' }, /agent\.yaml is not/],
    ['no video', { camera: { source: 'nowhere.mp4' } }, /There is no camera source .*nowhere\.mp4/],
  ]
  for (const [name, change, message] of cases) {
    const { file } = await writeConfig(t, change)
    const run = start(bins.agent, ['run', '--config', file])
    t.equal(await run.ended, 2, name)
    t.match(run.output(), message)
    t.notMatch(run.output(), /\n\s+at /, 'no stack trace')
  }
})

t.test('without a ground station it flies, says so once, and stops cleanly', async t => {
  const { file } = await writeConfig(t)
  const run = start(bins.agent, ['run', '--config', file])
  await waitFor('a line about the flight', () => /frames\/s.*no link/.exec(run.output()) ?? undefined, {
    timeoutS: 90,
    context: run.output,
  })
  t.equal(await run.stop('SIGTERM'), 0)
  t.match(run.output(), /Stopping \(SIGTERM\)[\s\S]*Flown/)
})

t.test('a video that ends, ends the agent', async t => {
  const { frames } = await writeConfig(t)
  const { file } = await writeConfig(t, { camera: { source: frames, fps: 10, pace: 'as-fast-as-possible' } })
  const run = start(bins.agent, ['run', '--config', file])
  t.equal(await run.ended, 0, run.output())
  t.match(run.output(), /The video has ended[\s\S]*10 frames labelled/)
})

t.test('rollback: one step back each time, then nothing is left to go back from', async t => {
  const { file } = await writeConfig(t, { log: { level: 'silent' } })
  const student = tinyStudent()
  const folder = join(dirname(file), 'state', 'weights')
  const stored = () => new SlotStore({ folder, student, log: silentLog })
  const store = stored()
  await store.load()
  for (const version of [1, 2]) {
    const parameters = readParameters(student).map(value => value + version)
    await store.save({ version, parameters, digest: parameterDigest(parameters) })
  }
  const rollback = async () => {
    const run = start(bins.agent, ['rollback', '--config', file])
    return [await run.ended, run.output()]
  }
  t.match(await rollback(), [0, /^Version 2 is set aside; version 1 flies at the next start\n$/])
  t.equal((await stored().load())[0].version, 1)
  t.match(await rollback(), [0, /^Version 1 is set aside; the student as shipped flies/])
  t.equal((await stored().load())[0].version, 0)
  t.match(await rollback(), [
    2,
    /^kestrel-agent: kes1 flies the student as shipped: there is nothing to roll back/,
  ])
  const help = start(bins.agent, ['rollback', '--help'])
  t.equal(await help.ended, 0)
  t.match(help.output(), /fly the weights before again/)
})
