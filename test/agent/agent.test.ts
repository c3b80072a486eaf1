import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AgentConfig, ControlSocket, parseAgentConfig, rollBack, startAgent } from '@kestrel/agent'
import {
  type Connection,
  decodeEnvelope,
  decodeSegment,
  encodeEnvelope,
  everyDrone,
  type MemoryConnection,
  memoryBroker,
  type Payload,
  type PayloadInit,
  topic,
  type What,
} from '@kestrel/link'
import { RealClock } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { readLabelSocket } from '../support/label-reader.js'
import { waitFor } from '../support/processes.js'
import { writeScene } from '../support/scene.js'
import { keptLog, tinyStudent, updateChain } from './support.js'

t.setTimeout(300_000)

const clock = new RealClock()
const student = tinyStudent()
type Of<Case extends Payload['case']> = Extract<Payload, { case: Case }>['value']

/** The ground's end of the link, which keeps what it hears. */
function listen(connection: Connection) {
  const heard: Payload[] = []
  const say = (what: What, payload: PayloadInit, id?: Uint8Array) =>
    connection.publish(topic('kes1', what), encodeEnvelope(payload, { clock, id }), {
      qos: 1,
      retain: what === 'control',
    })
  for (const what of ['status', 'telemetry', 'segment', 'update-result', 'resync'] as const) {
    void connection.subscribe(everyDrone(what), (_, bytes) => {
      const { id, payload } = decodeEnvelope(bytes)
      heard.push(payload)
      if (payload.case === 'segment') void say('receipt', { case: 'receipt', value: { segment: id } })
    })
  }
  const all = <Case extends Payload['case']>(kind: Case) =>
    heard.flatMap(payload => (payload.case === kind ? [payload.value as Of<Case>] : []))
  return {
    all,
    /** The first message of that kind, from the `from`th on, that satisfies the condition. */
    hear: <Case extends Payload['case']>(kind: Case, condition = (_: Of<Case>) => true, from = 0) =>
      waitFor(kind, () => all(kind).slice(from).find(condition), { timeoutS: 60 }),
    say,
  }
}

function fly(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-agent-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { frames } = writeScene(folder, { seconds: 3, fps: 10, width: 60, height: 40, seed: 1 })
  const file = join(folder, 'tiny.onnx')
  writeFileSync(file, student.bytes)
  const broker = memoryBroker()
  const log = keptLog()
  let link: MemoryConnection | undefined
  const configure = (camera: Partial<AgentConfig['camera']> = {}) =>
    parseAgentConfig({
      drone: 'kes1',
      student: file,
      stateDir: join(folder, 'state'),
      camera: { source: frames, fps: 10, loop: true, ...camera },
      sampling: { fps: 5, minFps: 1, maxFps: 10 },
      uplink: { periodS: 1 },
      threads: 1,
      output: { socket: join(folder, 'labels.sock') },
    })
  return {
    configure,
    ground: listen(broker.connect()),
    log,
    /** The agent's connection. */
    link: () => link!,
    labels: join(folder, 'labels.sock'),
    outbox: join(folder, 'state', 'outbox'),
    start: (camera: Partial<AgentConfig['camera']> = {}) => {
      return startAgent(configure(camera), {
        log,
        connect: ({ will }) => {
          link = broker.connect({ will })
          return link
        },
      })
    },
  }
}

t.test('a flight: status, segments, updates, refusals, control, a lost link, and a restart', async t => {
  const { ground, start, link, log, labels, outbox, configure } = fly(t)
  let agent = await start()
  const reader = readLabelSocket(labels)
  t.match(await ground.hear('status'), {
    online: true,
    student: 'tiny.onnx',
    classes: student.classes,
    parameterCount: student.parameterCount,
    modelVersion: 0,
  })

  const segment = await ground.hear('segment')
  const { width, height, frames, video } = segment
  t.match(segment, { width: 48, height: 32, sequence: 1n }, 'twice the size of the student')
  t.equal(
    (await decodeSegment(video, { codec: 'h264', width, height, frames: frames.length })).length,
    frames.length,
  )

  const chain = updateChain(student)
  const first = chain.next()
  const id = new Uint8Array(16).fill(7)
  const update = (version: number, data: Uint8Array): PayloadInit => ({
    case: 'update',
    value: { baseVersion: version - 1, version, part: 0, parts: 1, data },
  })
  await ground.say('update', update(1, first), id)
  await ground.say('update', update(1, first), id)
  t.match(await ground.hear('updateResult'), { applied: true, version: 1, modelDigest: chain.state.digest })
  await ground.hear('status', ({ modelVersion }) => modelVersion === 1)
  await reader.hear(({ modelVersion }) => modelVersion === 1)
  t.match(reader.hellos, [{ drone: 'kes1', student: 'tiny.onnx', classes: student.classes }])
  const versions = reader.labels.map(({ modelVersion }) => modelVersion)
  t.ok(
    versions.includes(0) && !versions.includes(0, versions.indexOf(1)),
    'first the shipped weights, then the new',
  )
  t.match(reader.labels[0], { width: 24, height: 16, classes: student.classes.length })

  chain.next()
  await ground.say('update', update(3, chain.next()))
  t.match(await ground.hear('updateResult', () => true, 1), {
    applied: false,
    reason: 'wrong-base',
    version: 3,
  })
  t.match(await ground.hear('resync'), { modelVersion: 1, reason: 'wrong-base' })
  t.equal(ground.all('updateResult').length, 2, 'a repeated message is taken once')

  await ground.say('control', {
    case: 'control',
    value: { samplingFps: 99, updatePeriodS: 0.5, paused: false },
  })
  await ground.hear('telemetry', ({ samplingFps, frames }) => samplingFps === 10 && frames > 0n)

  link().cut()
  await ground.hear('status', ({ online }) => !online)
  const before = ground.all('segment').length
  const kept = () => readdirSync(outbox).filter(name => name.endsWith('.segment')).length
  const unconfirmed = kept()
  await waitFor('three more segments', () => kept() >= unconfirmed + 3, { timeoutS: 60 })
  t.equal(ground.all('segment').length, before, 'no link, no segments')
  link().restore()
  const backlog = await waitFor(
    'the backlog',
    () => {
      const rest = ground
        .all('segment')
        .slice(before)
        .map(({ sequence }) => Number(sequence))
      return [1, 2, 3].every(n => rest.includes(before + n)) ? rest : undefined
    },
    { timeoutS: 60 },
  )
  // The one that was on its way at the cut arrives first, and newer ones may be made in between.
  t.ok(
    backlog.indexOf(before + 3) < backlog.indexOf(before + 2),
    `the newest first: ${backlog.join(', ')} after ${before}`,
  )
  const sequences = ground.all('segment').map(({ sequence }) => sequence)
  t.equal(new Set(sequences).size, sequences.length, 'none twice')
  t.same(
    sequences.toSorted((a, b) => Number(a - b)),
    sequences.map((_, i) => BigInt(i + 1)),
    'none lost',
  )

  await agent.stop()
  await waitFor('the end of the labels', () => reader.ended, { timeoutS: 30 })
  t.equal(ground.all('status').at(-1)?.online, false, 'it says goodbye')
  t.ok(
    log.lines.some(line => /^info: Flown .* model version 1/.test(line)),
    log.lines.join('\n'),
  )

  const statuses = ground.all('status').length
  agent = await start()
  t.match(
    await ground.hear('status', ({ online }) => online, statuses),
    { modelVersion: 1, modelDigest: ground.all('updateResult')[0].modelDigest },
    'what it learned is not lost',
  )
  const told = ground.all('status').length
  t.equal(
    await rollBack(configure(), log),
    'Version 0 flies again instead of version 1',
    'as the command asks it',
  )
  t.match(await ground.hear('status', () => true, told), { modelVersion: 0 })
  await t.rejects(rollBack(configure(), log), { name: 'UserError', message: /The agent says: .*as shipped/ })
  await agent.stop()
  t.notOk(
    log.lines.some(line => line.startsWith('error')),
    'no error in the log',
  )
})

t.test(
  'weights that the ground rejects: the drone goes back between two frames, says so, and stays there',
  async t => {
    const { ground, start, labels } = fly(t)
    let agent = await start()
    let reader = readLabelSocket(labels)
    const chain = updateChain(student)
    const digests: Uint8Array[] = []
    const update = (version: number, data: Uint8Array): PayloadInit => ({
      case: 'update',
      value: { baseVersion: version - 1, version, part: 0, parts: 1, data },
    })
    let bytes = new Uint8Array()
    for (const version of [1, 2]) {
      bytes = Uint8Array.from(chain.next())
      digests.push(chain.state.digest)
      await ground.say('update', update(version, bytes))
      await ground.hear('status', ({ modelVersion }) => modelVersion === version)
      await reader.hear(({ modelVersion }) => modelVersion === version)
    }
    const before = ground.all('status').length
    await ground.say('control', { case: 'control', value: { rejectDigest: digests[1] } })
    const said = await ground.hear('status', () => true, before)
    t.match(said, { modelVersion: 1, modelDigest: digests[0], rolledBack: [digests[1]] })
    const back = reader.labels.length
    await reader.hear(
      ({ modelVersion, sequence }) => modelVersion === 1 && sequence > reader.labels[back - 1].sequence,
    )
    const versions = reader.labels.map(({ modelVersion }) => modelVersion)
    const changes = versions.filter((version, i) => version !== versions[i - 1])
    t.same(changes.slice(-3), [1, 2, 1], 'one after the other, none in between')
    await ground.say('update', update(2, bytes))
    t.match(await ground.hear('updateResult', ({ reason }) => reason !== ''), {
      reason: 'rolled-back',
      modelVersion: 1,
      rolledBack: [digests[1]],
    })
    await agent.stop()

    const statuses = ground.all('status').length
    agent = await start()
    t.match(
      await ground.hear('status', ({ online }) => online, statuses),
      { modelVersion: 1, modelDigest: digests[0], rolledBack: [digests[1]] },
      'after a restart too, though the order is retained',
    )
    reader = readLabelSocket(labels)
    await reader.hear(({ modelVersion }) => modelVersion === 1)
    await agent.stop()
  },
)

t.test('the end of the video ends the flight, and every frame that was sampled is sent', async t => {
  const { ground, start, log } = fly(t)
  const agent = await start({ loop: false, pace: 'as-fast-as-possible' })
  await agent.finished
  await agent.stop()
  const sent = ground
    .all('segment')
    .flatMap(({ frames }) => frames.map(({ sourceIndex }) => Number(sourceIndex)))
  t.same(
    sent,
    Array.from({ length: 15 }, (_, i) => 2 * i),
    '5 of 10 frames a second, for 3 s',
  )
  t.ok(
    log.lines.some(line => /Flown .* 30 frames labelled, 0 dropped/.test(line)),
    log.lines.join('\n'),
  )
})

t.test('a live camera that comes later: the agent is up meanwhile, and then it flies', async t => {
  const { ground, start, log } = fly(t)
  const there = join(t.testdir(), 'plugged-in')
  const source = `exec:test -e ${there} || { echo no camera >&2; exit 1; }; while true; do head -c 2304 /dev/zero; sleep 0.05; done`
  const agent = await start({ source, format: 'yuv420p', width: 48, height: 32, loop: false })
  t.match(
    log.lines.filter(line => line.startsWith('warn')),
    [/exit code 1\): no camera\. Waiting for it/],
  )
  await ground.hear('telemetry', ({ frames }) => frames === 0n)
  writeFileSync(there, '')
  const segment = await ground.hear('segment')
  t.match(segment, { width: 48, height: 32 })
  const options = { codec: 'h264', width: 48, height: 32, frames: segment.frames.length } as const
  t.equal((await decodeSegment(segment.video, options)).length, segment.frames.length)
  await ground.hear('telemetry', ({ frames }) => frames > 0n)
  await agent.stop()
})

t.test('a camera that is not there is one clear error, and nothing is left running', async t => {
  const { start } = fly(t)
  await t.rejects(start({ source: '/nowhere.mp4' }), { name: 'UserError', message: /\/nowhere\.mp4/ })
})

t.test('rollback leaves an agent with another state alone', async t => {
  const { configure, log } = fly(t)
  const config = configure()
  const asked: string[] = []
  const other = new ControlSocket(join(config.stateDir, 'agent.sock'), {
    status: () => {
      asked.push('status')
      return { stateDir: '/elsewhere' }
    },
    rollback: () => asked.push('rollback'),
  })
  await other.start()
  t.teardown(() => other.stop())
  await t.rejects(rollBack(config, log), { name: 'UserError', message: /flies the student as shipped/ })
  t.same(asked, ['status'])
})
