import {
  GroundStation,
  type Job,
  type JobResult,
  type Learner,
  type OutgoingUpdate,
  PART_BYTES,
} from '@kestrel/ground-station'
import {
  type Connection,
  decodeEnvelope,
  encodeEnvelope,
  memoryBroker,
  newMessageId,
  type Payload,
  type PayloadInit,
  topic,
  type What,
} from '@kestrel/link'
import { type Log, RealClock, UserError } from '@kestrel/runtime'
import t from 'tap'

const clock = new RealClock()
const layoutDigest = new Uint8Array(32).fill(7)
const classes = ['sky', 'road']

/** A log that keeps its lines. */
function keepingLog(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const line = (level: string) => (message: string) => void lines.push(`${level}: ${message}`)
  const log: Log = {
    debug: () => {},
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => log,
  }
  return { log, lines }
}

/** Writes down what it is asked, and answers what the test wants. */
class FakeLearner implements Learner {
  readonly student = { source: 'student.onnx', classes, layoutDigest }
  readonly jobs: Job[] = []
  closed = false
  answer: (job: Job) => Partial<JobResult> | Promise<Partial<JobResult>> = () => ({})

  async run(job: Job): Promise<JobResult> {
    this.jobs.push(job)
    return { newFrames: 0, samplingFps: 1, updatePeriodS: 10, ...(await this.answer(job)) }
  }

  async close(): Promise<void> {
    this.closed = true
  }

  kinds(): string {
    return this.jobs.map(({ kind, drone }) => `${drone}:${kind}`).join(' ')
  }
}

class FakeDrone {
  readonly received: { what: string; payload: Payload }[] = []
  readonly #connection: Connection
  readonly #name: string

  constructor(connection: Connection, name: string) {
    this.#connection = connection
    this.#name = name
  }

  async listen(): Promise<void> {
    for (const what of ['update', 'control'] as const) {
      await this.#connection.subscribe(topic(this.#name, what), (_, bytes) => {
        this.received.push({ what, payload: decodeEnvelope(bytes).payload })
      })
    }
  }

  async send(what: What, payload: PayloadInit, id = newMessageId()): Promise<void> {
    const retain = what === 'status'
    await this.#connection.publish(topic(this.#name, what), encodeEnvelope(payload, { clock, id }), {
      qos: 1,
      retain,
    })
  }

  status(changes: object = {}): Promise<void> {
    const modelDigest = new Uint8Array(32).fill(1)
    const value = {
      online: true,
      student: 's.onnx',
      classes,
      layoutDigest,
      modelVersion: 3,
      modelDigest,
      ...changes,
    }
    return this.send('status', { case: 'status', value })
  }

  segment(sequence: number, id?: Uint8Array): Promise<void> {
    return this.send('segment', { case: 'segment', value: { sequence: BigInt(sequence) } }, id)
  }
}

async function setUp() {
  const broker = memoryBroker()
  const learner = new FakeLearner()
  const { log, lines } = keepingLog()
  const station = new GroundStation({ connection: broker.connect(), learner, clock, uplinkKbps: 150, log })
  station.start()
  const drone = async (name: string) => {
    const fake = new FakeDrone(broker.connect(), name)
    await fake.listen()
    return fake
  }
  return { broker, learner, lines, station, drone }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (condition()) return
    await clock.sleep(5)
  }
  throw new Error(`waited in vain for ${what}`)
}

t.test('a drone that arrives: what it flies, its frames, a phase, an update, control', async t => {
  const { learner, station, drone, lines } = await setUp()
  const bytes = Uint8Array.from({ length: PART_BYTES + 10 }, (_, i) => i % 251)
  const update: OutgoingUpdate = { codec: 'delta', baseVersion: 3, version: 4, count: 9, bytes }
  learner.answer = ({ kind }) => {
    if (kind === 'segment') return { newFrames: 5, frames: 5 }
    if (kind !== 'phase') return {}
    const phase = {
      phase: 1,
      trained: true,
      iterations: 20,
      loss: 0.5,
      frames: 5,
      heldOut: 1,
      holdOutBefore: 0.412,
      holdOutAfter: 0.44,
      sent: true,
      samplingFps: 0.8,
      updatePeriodS: 12,
      durationMs: 1500,
    }
    return { update, phase, samplingFps: 0.8, updatePeriodS: 12 }
  }
  const scout = await drone('scout-1')
  await scout.status()
  await scout.segment(1)
  await until(() => scout.received.filter(({ what }) => what === 'control').length === 2, 'control')
  t.equal(learner.kinds(), 'scout-1:report scout-1:segment scout-1:phase')
  t.match(learner.jobs[0], { report: { version: 3, digest: new Uint8Array(32).fill(1) } })
  const controls = scout.received.flatMap(({ payload }) =>
    payload.case === 'control' ? [payload.value] : [],
  )
  t.match(controls[0], { samplingFps: 1, updatePeriodS: 10, uplinkKbps: 150, paused: false })
  t.match(controls[1], { updatePeriodS: 12 })
  const parts = scout.received.flatMap(({ payload }) => (payload.case === 'update' ? [payload.value] : []))
  t.same(
    parts.map(({ part, parts, version, baseVersion }) => [part, parts, version, baseVersion]),
    [
      [0, 2, 4, 3],
      [1, 2, 4, 3],
    ],
  )
  t.ok(Buffer.concat(parts.map(({ data }) => data)).equals(bytes))
  t.match(
    lines.join('\n'),
    /scout-1: phase 1: loss 0.500.*mIoU 41.2 → 44.0 %.*update 4: 9 weights, 65.5 kB.*0.80 fps/,
  )

  // Control is retained: who comes later learns it too.
  const late = await drone('scout-1')
  await until(() => late.received.length > 0, 'retained control')
  t.match(late.received[0].payload.value, { updatePeriodS: 12 })

  await scout.send('update-result', {
    case: 'updateResult',
    value: { version: 4, applied: false, reason: 'canary', detail: 'one class', modelVersion: 3 },
  })
  await scout.send('resync', { case: 'resync', value: { modelVersion: 3, reason: 'wrong-base' } })
  await until(() => learner.jobs.length === 5, 'answer and resync')
  t.match(learner.jobs[3], {
    kind: 'answer',
    answer: { version: 4, applied: false, reason: 'canary', modelVersion: 3 },
  })
  t.match(learner.jobs[4], { kind: 'report', report: { version: 3 } })
  t.match(lines.join('\n'), /scout-1 refused update 4: canary, one class/)
  await station.stop()
  t.ok(learner.closed)
})

t.test('an order to roll back goes with control, and the drone says what it rolled back', async t => {
  const { learner, station, drone, lines } = await setUp()
  const bad = new Uint8Array(32).fill(9)
  learner.answer = ({ kind }) => (kind === 'reject' ? { rejectDigest: bad } : {})
  const scout = await drone('scout-1')
  t.notOk(station.rollBack('scout-1'), 'nobody of that name')
  await scout.status()
  await until(() => learner.jobs.length === 1, 'status')
  t.ok(station.rollBack('scout-1'))
  const orders = () =>
    scout.received.flatMap(({ payload }) =>
      payload.case === 'control' && payload.value.rejectDigest.length > 0 ? [payload.value] : [],
    )
  await until(() => orders().length === 1, 'the order')
  t.match(orders()[0], { rejectDigest: bad, samplingFps: 1, updatePeriodS: 10 })
  const late = await drone('scout-1')
  await until(() => late.received.length > 0, 'retained control')
  t.match(late.received[0].payload.value, { rejectDigest: bad })
  await scout.status({ modelVersion: 2, rolledBack: [bad] })
  await scout.send('update-result', {
    case: 'updateResult',
    value: { version: 4, reason: 'rolled-back', modelVersion: 2, modelDigest: bad, rolledBack: [bad] },
  })
  await until(() => learner.jobs.length === 4, 'status and answer')
  t.match(learner.jobs[2], { kind: 'report', report: { version: 2, rolledBack: [bad] } })
  t.match(learner.jobs[3], { kind: 'answer', answer: { reason: 'rolled-back', rolledBack: [bad] } })
  learner.answer = ({ kind }) => {
    if (kind === 'reject') throw new UserError('it flies the student as shipped')
    return {}
  }
  station.rollBack('scout-1')
  await until(() => lines.some(line => /a reject came to nothing: it flies/.test(line)), 'a reason')
  await station.stop()
})

t.test('phases keep to T_update, and only run on new frames', async t => {
  const { learner, station, drone } = await setUp()
  const starts: number[] = []
  let newFrames = 0
  learner.answer = ({ kind }) => {
    if (kind === 'segment') newFrames = 1
    if (kind === 'phase') {
      starts.push(clock.nowMs())
      newFrames = 0
    }
    return { newFrames, updatePeriodS: 0.2 }
  }
  const scout = await drone('a')
  await scout.status()
  for (let i = 0; i < 3; i++) {
    await scout.segment(i)
    await until(() => starts.length === i + 1, 'a phase')
  }
  const gaps = starts.slice(1).map((at, i) => at - starts[i])
  t.ok(
    gaps.every(gap => gap >= 199),
    `${gaps} ms between phases`,
  )
  await clock.sleep(300)
  t.equal(starts.length, 3)
  await station.stop()
})

t.test('repeats are dropped by their id; messages of no use are named', async t => {
  const { broker, learner, station, drone, lines } = await setUp()
  const scout = await drone('a')
  await scout.segment(0)
  await scout.status()
  const id = newMessageId()
  await scout.segment(1, id)
  await scout.segment(1, id)
  await scout.segment(2)
  const raw = broker.connect()
  await raw.publish('kestrel/v1/a/segment', Uint8Array.of(1, 2, 3), { qos: 1 })
  await raw.publish('kestrel/v1/a/segment', encodeEnvelope({ case: 'resync', value: {} }, { clock }), {
    qos: 1,
  })
  await scout.segment(3)
  await until(() => learner.jobs.length >= 5, 'the segments')
  t.equal(
    learner.kinds(),
    'a:report a:segment a:segment a:segment a:segment',
    'the one before any status waited for it',
  )
  t.match(lines.join('\n'), /A segment message of a is of no use: Not a Kestrel message/)
  t.match(lines.join('\n'), /A resync message came to kestrel\/v1\/a\/segment/)
  await station.stop()
})

t.test('a drone with another student is one clear error, and the others go on', async t => {
  const { learner, station, drone, lines } = await setUp()
  const [good, other, names] = [await drone('good'), await drone('other'), await drone('names')]
  for (let i = 0; i < 3; i++) {
    await other.status({ layoutDigest: new Uint8Array(32), student: 'old.onnx', parameterCount: 99 })
    await other.segment(i)
    await names.status({ classes: ['sky', 'sea'] })
    await names.segment(i)
  }
  await good.status()
  await good.segment(1)
  await until(() => learner.jobs.length >= 2, 'the good one')
  t.equal(learner.kinds(), 'good:report good:segment')
  const errors = lines.filter(line => line.startsWith('error'))
  t.equal(errors.length, 2)
  t.match(
    errors[0],
    /other is left aside: it flies old.onnx \(99 parameters\).*student.onnx.*same student file/,
  )
  t.match(
    errors[1],
    /names is left aside: its student knows the classes sky, sea, but student.onnx has sky, road/,
  )
  await other.status()
  await other.segment(9)
  await until(() => learner.jobs.length >= 4, 'the mended one')
  await station.stop()
})

t.test('a job that fails is one line, and work goes on', async t => {
  const { learner, station, drone, lines } = await setUp()
  learner.answer = job => {
    if (job.kind === 'segment' && learner.jobs.length === 2) throw new UserError('no label for frame 7')
    return {}
  }
  const scout = await drone('a')
  await scout.status()
  await scout.segment(1)
  await scout.segment(2)
  await until(() => learner.jobs.length >= 3, 'the next segment')
  t.match(lines.join('\n'), /error: a: a segment came to nothing: no label for frame 7/)
  await scout.status({ online: false })
  await until(() => lines.some(line => /a is gone/.test(line)), 'the farewell')
  await station.stop()
})

t.test('one job at a time, and the drones in turn; what is too much is dropped and said', async t => {
  const { learner, station, drone, lines } = await setUp()
  let running = 0
  let release = () => {}
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  learner.answer = async ({ kind }) => {
    if (++running > 1) t.fail('two jobs at once')
    if (kind === 'report') await gate
    else await clock.sleep(1)
    running--
    return {}
  }
  const [a, b] = [await drone('a'), await drone('b')]
  await a.status()
  await b.status()
  for (let i = 0; i < 9; i++) await a.segment(i)
  await b.segment(0)
  release()
  await until(() => learner.jobs.length === 11, 'all jobs')
  t.equal(
    learner.kinds(),
    `a:report a:segment b:report a:segment b:segment${' a:segment'.repeat(6)}`,
    'eight segments wait at most',
  )
  t.match(lines.join('\n'), /a: training is too slow for its frames: 1 segments dropped/)
  await station.stop()
})

t.test(
  'where a phase takes longer than T_update, T_update is stretched, the drone told, and that said once',
  async t => {
    const { learner, station, drone, lines } = await setUp()
    let newFrames = 0
    learner.answer = async ({ kind }) => {
      if (kind === 'segment') newFrames = 1
      if (kind !== 'phase') return { newFrames, frames: 1, updatePeriodS: 0.02 }
      await clock.sleep(60)
      newFrames = 0
      const phase = { trained: true, loss: 1, updatePeriodS: 0.02, samplingFps: 1 } as JobResult['phase']
      return { newFrames, phase, updatePeriodS: 0.02 }
    }
    const scout = await drone('a')
    await scout.status()
    for (let i = 1; i <= 3; i++) {
      await scout.segment(i)
      await until(
        () => learner.jobs.filter(({ kind }) => kind === 'phase').length === i && newFrames === 0,
        'a phase',
      )
    }
    t.equal(lines.filter(line => /training has time for it every/.test(line)).length, 1, lines.join('\n'))
    await until(() => scout.received.filter(({ what }) => what === 'control').length > 1, 'control')
    const { value } = scout.received.at(-1)!.payload
    const told = value as { updatePeriodS: number; samplingFps: number }
    t.ok(told.updatePeriodS > 0.06, `${told.updatePeriodS} s for phases of 60 ms`)
    t.ok(Math.abs(told.updatePeriodS * told.samplingFps - 0.02) < 1e-6, 'and it samples that much less')
    await station.stop()
  },
)

t.test('strangers cannot fill the memory with names', async t => {
  const { broker, station, lines } = await setUp()
  const raw = broker.connect()
  for (let i = 0; i < 40; i++) {
    const message = encodeEnvelope(
      { case: 'status', value: { online: true, classes, layoutDigest } },
      { clock },
    )
    await raw.publish(topic(`d${i}`, 'status'), message, { qos: 1 })
  }
  await until(() => lines.filter(line => /is here/.test(line)).length === 32, 'the first 32')
  t.equal(lines.filter(line => /32 drones are the most/.test(line)).length, 1)
  await station.stop()
})
