import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { DecoderThread, InProcessHost, StudentPair, UpdateApplier, unstarved } from '@kestrel/agent'
import { parameterDigest, readParameters, UpdateRefused, withParameters } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { waitFor } from '../support/processes.js'
import { testImage, tinyStudent, updateChain } from './support.js'

// Each pair starts two threads that load ONNX Runtime: seconds on a small, busy machine.
t.setTimeout(300_000)

const student = tinyStudent()

async function startPair(t: Test) {
  const pair = await StudentPair.create(student, student.bytes, { threads: 1 })
  const decoder = new DecoderThread(student)
  t.teardown(() => Promise.all([pair.stop(), decoder.stop()]))
  const start = { version: 0, parameters: readParameters(student) }
  return { pair, applier: new UpdateApplier({ student, host: pair, decoder, start }) }
}

/** What the weights make of an image, computed in this thread. */
async function expectedLabels(parameters: Float32Array, seed: number): Promise<Uint8Array> {
  const host = await InProcessHost.create(student, withParameters(student, parameters))
  const { data } = await host.label(testImage(seed))
  await host.release()
  return data
}

t.test('labels are those of the weights that fly, before and after a swap', async t => {
  const { pair, applier } = await startPair(t)
  const before = applier.parameters
  t.same((await pair.label(testImage(1))).data, await expectedLabels(before, 1))
  t.match(await applier.apply(updateChain(student, { share: 0.5 }).next(0.5)), {
    applied: true,
    modelVersion: 1,
  })
  t.same((await pair.label(testImage(2))).data, await expectedLabels(applier.parameters, 2))
  t.notSame(
    await expectedLabels(applier.parameters, 2),
    await expectedLabels(before, 2),
    'it makes a difference',
  )
})

t.test('every frame is labelled while updates come, by the old weights or the new', async t => {
  const { pair, applier } = await startPair(t)
  const chain = updateChain(student, { share: 0.5 })
  const versions = [await expectedLabels(applier.parameters, 1)]
  let swapping = true
  const seen: Uint8Array[] = []
  const frames = (async () => {
    while (swapping) seen.push((await pair.label(testImage(1))).data.slice())
  })()
  for (let i = 0; i < 10; i++) {
    t.match(await applier.apply(chain.next(0.5)), { applied: true })
    versions.push(await expectedLabels(chain.state.parameters, 1))
  }
  swapping = false
  await frames
  let at = 0
  for (const labels of seen) {
    while (at < versions.length && Buffer.compare(versions[at], labels) !== 0) at++
  }
  t.ok(at < versions.length, 'no frame of other weights, none out of order')
  t.ok(seen.length > versions.length, `${seen.length} frames`)
})

t.test('it may be stopped at any moment: threads come out of ONNX Runtime before they end', async t => {
  // A thread that is ended inside ONNX Runtime aborts the whole process, so this runs in one of its own, many times over.
  const script = `(async () => {
    const { StudentPair } = await import('@kestrel/agent')
    const { buildDeepLab, loadStudent } = await import('@kestrel/models')
    const classes = ['a', 'b', 'c']
    const bytes = buildDeepLab({ classes, width: 256, height: 128, widthMultiplier: 0.5, seed: 1 })
    const student = loadStudent(bytes, { source: 'built' })
    const image = { width: 256, height: 128, data: new Uint8Array(3 * 256 * 128) }
    // A promise of shared memory keeps no process alive.
    const alive = setInterval(() => {}, 1000)
    for (let i = 0; i < 9; i++) {
      const pair = await StudentPair.create(student, bytes, { threads: 1 })
      await pair.label(image)
      const under = [pair.label(image).catch(() => {})]
      if (i % 3 > 0) under.push(pair.load(bytes.slice()).then(() => i % 3 > 1 && pair.swap()).catch(() => {}))
      await new Promise(resolve => setTimeout(resolve, 7 * i))
      await pair.stop()
      await Promise.all(under)
    }
    clearInterval(alive)
    console.log('all stopped')
  })()`
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' })
  t.equal(signal, null, stderr)
  t.match(stdout, /all stopped/, stderr)
})

t.test('weights that do not fly: the reason comes back, the old ones fly on', async t => {
  const { pair, applier } = await startPair(t)
  const image = testImage(1)
  const before = (await pair.label(image)).data.slice()
  await t.rejects(pair.load(Uint8Array.of(1, 2, 3)), UserError)
  const poisoned = readParameters(student).fill(Number.NaN, 0, 4)
  await pair.load(withParameters(student, poisoned))
  t.match(await pair.canary(), { ok: false, detail: /not finite/ })
  t.match(await applier.apply(Uint8Array.of(1, 2, 3)), { applied: false, reason: 'malformed' })
  t.same((await pair.label(image)).data, before)
  t.match(await applier.apply(updateChain(student).next()), { applied: true })
})

t.test('a model that ONNX Runtime refuses, a second frame at once and a stopped pair are errors', async t => {
  await t.rejects(StudentPair.create(student, Uint8Array.of(1)), UserError)
  const { pair } = await startPair(t)
  const first = pair.label(testImage(1))
  await t.rejects(pair.label(testImage(1)), /already/)
  await first
  await pair.stop()
  await t.rejects(pair.label(testImage(1)), /stopped/)
})

t.test('the decoding thread refuses with the reason, and goes on', async t => {
  const decoder = new DecoderThread(student)
  t.teardown(() => decoder.stop())
  const base = { version: 0, parameters: readParameters(student) }
  await t.rejects(decoder.decode(Uint8Array.of(1), base), UpdateRefused)
  const chain = updateChain(student)
  const { parameters, digest } = await decoder.decode(chain.next(), base)
  t.same(parameterDigest(parameters), chain.state.digest)
  t.same(digest, chain.state.digest)
})

t.test(
  '200 updates in a row: the same weights on both sides, bit for bit, and memory that stays flat',
  async t => {
    const { pair, applier } = await startPair(t)
    const chain = updateChain(student)
    const rss: number[] = []
    for (let i = 1; i <= 200; i++) {
      const result = await applier.apply(chain.next())
      if (!result.applied || Buffer.compare(result.modelDigest, chain.state.digest) !== 0) {
        return t.fail(`update ${i}: ${result.reason} ${result.detail}`)
      }
      await pair.label(testImage(i))
      if (i % 50 === 0) rss.push(process.memoryUsage().rss / 1e6)
    }
    t.equal(applier.version, 200)
    t.same(parameterDigest(applier.parameters), chain.state.digest)
    // The first 50 fill caches; a session that leaked would cost at least a megabyte each.
    t.ok(rss[3] - rss[0] < 60, `RSS after 50, 100, 150, 200 updates: ${rss.map(Math.round).join(', ')} MB`)
  },
)

/** Threads of this process that give way to others. */
function quietThreads(): number {
  return readdirSync('/proc/self/task').filter(id => {
    try {
      return getPriority(Number(id)) > getPriority()
    } catch {
      return false // It ended in between.
    }
  }).length
}

/** Threads of this process under SCHED_IDLE (5), by the kernel's own word: the policy is field 41 of proc(5)'s stat. */
function idleThreads(): number {
  return readdirSync('/proc/self/task').filter(id => {
    try {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8')
      // Field 2, the name in parentheses, may hold spaces; field 3 follows it.
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[41 - 3] === '5'
    } catch {
      return false // It ended in between.
    }
  }).length
}

/** Whether a priority that was lowered may be raised again, on this machine and by this user. */
function mayRaise(): boolean {
  if (process.platform !== 'linux') return false
  const usual = getPriority()
  try {
    setPriority(usual + 1)
    setPriority(usual)
    return true
  } catch {
    return false
  }
}

t.test(
  'the standby gives way while it loads; once it flies, none of its threads does',
  { skip: mayRaise() ? false : 'priorities cannot be raised again here (CAP_SYS_NICE)' },
  async t => {
    const pair = await StudentPair.create(student, student.bytes, { threads: 3 })
    t.teardown(() => pair.stop())
    await pair.label(testImage(1))
    // Those of the tests before end in their own time.
    await waitFor('no quiet thread', () => quietThreads() === 0, { timeoutS: 30 })
    await pair.load(student.bytes.slice())
    t.equal(quietThreads(), 3, 'its own thread and two of the pool')
    t.equal(idleThreads(), 3, 'they take only what others leave')
    await pair.swap()
    t.ok(idleThreads() <= 1, 'none that flies is idle')
    // The one that was relieved gives way while it cleans up; its pool ends.
    await waitFor('one quiet thread', () => quietThreads() === 1, { timeoutS: 30 })
    await pair.label(testImage(1))
    t.equal(quietThreads(), 1)
  },
)

t.test(
  'work at idle priority that others starve gets its share of the core after a while',
  { skip: mayRaise() ? false : 'priorities cannot be raised again here (CAP_SYS_NICE)' },
  async t => {
    const pair = await StudentPair.create(student, student.bytes, { threads: 2 })
    t.teardown(() => pair.stop())
    await waitFor('no idle thread', () => idleThreads() === 0, { timeoutS: 30 })
    await pair.load(student.bytes.slice())
    t.equal(idleThreads(), 2)
    await unstarved(Promise.resolve(), { patienceMs: 1 })
    t.equal(idleThreads(), 2, 'not where the work was done in time')
    await unstarved(new Promise(resolve => setTimeout(resolve, 50)), { patienceMs: 1 })
    t.equal(idleThreads(), 0)
    t.equal(quietThreads(), 2, 'they still give way')
  },
)
