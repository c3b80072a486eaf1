import { GroundStation, type Job, type JobResult } from '@kestrel/ground-station'
import {
  decodeEnvelope,
  encodeEnvelope,
  memoryBroker,
  type PayloadInit,
  topic,
  type What,
} from '@kestrel/link'
import { RealClock, silentLog } from '@kestrel/runtime'
import t from 'tap'
import { waitFor } from '../../support/processes.js'

const clock = new RealClock()
const student = { source: 's.onnx', classes: ['sky', 'road'], layoutDigest: new Uint8Array(32).fill(7) }

/** One ground station of a cluster, what its learner is asked, and who owns the drone as the test wants it. */
function setUp() {
  const broker = memoryBroker()
  const jobs: Job[] = []
  const terms = new Map<string, number>()
  const heard: [string, boolean][] = []
  let answer: (job: Job) => Promise<Partial<JobResult>> = async () => ({})
  const station = new GroundStation({
    connection: broker.connect(),
    learner: {
      student,
      run: async job => {
        jobs.push(job)
        return { newFrames: 0, samplingFps: 1, updatePeriodS: 10, ...(await answer(job)) }
      },
      close: async () => {},
    },
    ownership: {
      term: drone => terms.get(drone),
      owner: () => '',
      heard: (drone, online) => void heard.push([drone, online]),
    },
    clock,
    uplinkKbps: 200,
    log: silentLog,
  })
  station.start()
  const drone = broker.connect()
  const told: string[] = []
  for (const what of ['update', 'control', 'receipt'] as const) {
    void drone.subscribe(topic('a', what), (_, bytes) => {
      const { payload } = decodeEnvelope(bytes)
      told.push(payload.case === 'control' ? `control of ${payload.value.term}` : what)
    })
  }
  const say = (what: What, payload: PayloadInit) =>
    drone.publish(topic('a', what), encodeEnvelope(payload, { clock }), { qos: 1, retain: what === 'status' })
  const status = () =>
    say('status', {
      case: 'status',
      value: { online: true, ...{ classes: student.classes, layoutDigest: student.layoutDigest } },
    })
  const segment = () => say('segment', { case: 'segment', value: { sequence: 1n } })
  return {
    ...{ station, jobs, terms, heard, told, status, segment },
    kinds: () => jobs.map(({ kind, term }) => `${kind}/${term}`).join(' '),
    answers: (with_: typeof answer) => {
      answer = with_
    },
  }
}

const until = (what: string, condition: () => boolean) => waitFor(what, condition, { timeoutS: 10 })
/** Long enough for whatever must not happen. */
const while_ = () => clock.sleep(50)

t.test('a drone of another is left alone; one of its own is taught under the term of its lease', async t => {
  const { station, jobs, terms, heard, told, status, segment, kinds } = setUp()
  t.teardown(() => station.stop())
  await status()
  await segment()
  await while_()
  t.same(heard, [['a', true]], 'its status is heard, for the day when nobody has it')
  t.same(jobs, [])
  t.same(told, [])

  terms.set('a', 5)
  await station.own('a', true)
  await until('what it said before', () => jobs.length > 0)
  await segment()
  await until('its frames', () => told.includes('receipt'))
  t.equal(kinds(), 'report/5 segment/5')
  t.ok(told.includes('control of 5'), 'so that it sends again what another may have had')

  // Another takes it: not a word more, and what was known of it is dropped.
  terms.delete('a')
  await station.own('a', false)
  told.length = 0
  await segment()
  await status()
  await while_()
  t.equal(kinds(), 'report/5 segment/5 forget/undefined')
  t.same(told, [])
  t.notOk(station.rollBack('a'), 'nor can it be ordered anything from here')

  terms.set('a', 9)
  await station.own('a', true)
  await until('the same status once more', () => kinds().endsWith('report/9'))
})

t.test('what is ready only after the lease was lost is not sent', async t => {
  const { station, jobs, terms, told, status, answers } = setUp()
  t.teardown(() => station.stop())
  let finish = () => {}
  const bytes = new Uint8Array(10)
  answers(async ({ kind }) => {
    if (kind !== 'report') return {}
    await new Promise<void>(resolve => {
      finish = resolve
    })
    return { update: { codec: 'delta', baseVersion: 0, version: 1, count: 1, bytes } }
  })
  await status()
  for (const [term, isHeldAtTheEnd] of [
    [5, false],
    [9, true],
  ] as const) {
    told.length = 0
    terms.set('a', term)
    const before = jobs.length
    void station.own('a', true)
    await until('the job', () => jobs.length > before && jobs.at(-1)?.kind === 'report')
    if (!isHeldAtTheEnd) terms.delete('a')
    finish()
    await while_()
    t.equal(told.includes('update'), isHeldAtTheEnd, `held: ${isHeldAtTheEnd}`)
    if (!isHeldAtTheEnd) await station.own('a', false)
  }
})
