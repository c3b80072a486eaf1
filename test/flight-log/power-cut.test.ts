import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeMessage, FlightLog, LogFile, openFlight, recoverFile } from '@kestrel/flight-log'
import type { Telemetry } from '@kestrel/link'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import { McapIndexedReader } from '@mcap/core'
import t, { type Test } from 'tap'
import { testInfo } from './support.js'

t.setTimeout(900_000)

/** A process that logs, and says what. */
async function writer(dir: string, seed: string) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.js'), dir, seed], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', chunk => (said += chunk))
  while (!said.includes('\n')) await once(child.stdout, 'data')
  return {
    folder: said.slice(0, said.indexOf('\n')),
    /** Index and time of each message so far; the last line may be cut off. */
    logged: () =>
      said
        .split('\n')
        .slice(1, -1)
        .map(line => line.split(' ').map(Number) as [index: number, timeMs: number]),
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}

/**
 * Checks what is left of a log: every message from the first on, but for those of the last second, and the same after mending.
 *
 * @returns how much is missing at its end, ms, less what the process was not let run at a stretch: it cannot write then
 */
async function judge(t: Test, path: string, logged: [number, number][], what: string): Promise<number> {
  const file = await LogFile.open(path)
  const indices: number[] = []
  for await (const { data } of file.messages({ topics: ['/agent/telemetry'] })) {
    indices.push((decodeMessage('kestrel.v1.Telemetry', data) as Telemetry).modelVersion)
  }
  await file.close()
  for (const [at, index] of indices.entries()) if (index !== at) t.fail(`${what}: message ${at} is ${index}`)
  await recoverFile(path)
  const mended = await LogFile.open(path)
  if (!mended.complete) t.fail(`${what}: not mended`)
  const after = mended.channels.get('/agent/telemetry')?.count ?? 0
  if (after !== indices.length) t.equal(after, indices.length, `${what}: nothing is lost by mending`)
  await mended.close()
  const [, firstMs] = logged[0]
  const stallMs = Math.max(0, ...logged.slice(1).map(([, timeMs], i) => timeMs - logged[i][1]))
  const [, lastMs] = logged.at(-1)!
  if (indices.length >= logged.length) return 0
  return lastMs - (indices.length === 0 ? firstMs : logged[indices.length - 1][1]) - stallMs
}

// What a process that is killed leaves behind is what has come to the system by then: a copy of the file shows the same. KESTREL_KILLS=100
// has it killed every time.
const kills = Number(process.env.KESTREL_KILLS ?? 8)

t.test(
  'killed at 100 moments: every log opens, at most the last second is missing, and it can be mended',
  async t => {
    const dir = t.testdir()
    const rng = createRng('kill')
    let missingMs = 0
    const kill = async (i: number) => {
      const process = await writer(dir, `kill/${i}`)
      await sleep(rng.int(2500))
      await process.kill()
      const path = join(process.folder, 'drone.mcap')
      const logged = process.logged()
      if (logged.length === 0) return
      // Killed before it had begun a file, there is nothing to open.
      const missing = existsSync(path)
        ? await judge(t, path, logged, `kill ${i}`)
        : logged.at(-1)![1] - logged[0][1]
      missingMs = Math.max(missingMs, missing)
    }
    for (let i = 0; i < kills; i += 4) await Promise.all([0, 1, 2, 3].map(k => kill(i + k)))
    t.ok(missingMs <= 1000, `killed ${kills} times: at most ${missingMs.toFixed(0)} ms are missing`)
    missingMs = 0
    const living = await writer(dir, 'copies')
    const path = join(living.folder, 'drone.mcap')
    for (let i = kills; i < 100; i++) {
      await sleep(rng.int(60))
      if (!existsSync(path)) continue
      const logged = living.logged()
      const copy = join(dir, `${i}.mcap`)
      copyFileSync(path, copy)
      if (logged.length > 0) missingMs = Math.max(missingMs, await judge(t, copy, logged, `copy ${i}`))
      rmSync(copy)
    }
    await living.kill()
    t.ok(missingMs <= 1000, `${100 - kills} copies: at most ${missingMs.toFixed(0)} ms are missing`)
  },
)

/** A log of ten minutes in the clock's time, written at once. */
async function writtenLog(dir: string): Promise<string> {
  const clock = new VirtualClock(1_700_000_000_000)
  const log = new FlightLog({ dir, info: testInfo(clock), clock, log: silentLog })
  log.start()
  for (let i = 0; i < 60; i++) {
    log.telemetry({ timeUs: BigInt(i), modelVersion: i })
    if (i % 5 === 0) log.envelope('segment', new Uint8Array(3000).fill(i))
    await clock.advanceTo(clock.nowMs() + 500)
    await sleep(2)
  }
  await log.stop()
  return join(log.folder, 'drone.mcap')
}

t.test(
  'a file that is cut anywhere, or has rubbish at its end, opens with all whole chunks before',
  async t => {
    const path = await writtenLog(t.testdir())
    const whole = readFileSync(path)
    const rng = createRng('cut')
    const cut = join(path, '../cut.mcap')
    let before = 0
    const lengths = Array.from({ length: 60 }, () => 40 + rng.int(whole.length - 40)).sort((a, b) => a - b)
    for (const length of lengths) {
      const rubbish = Buffer.from(Array.from({ length: rng.int(3) * 500 }, () => rng.int(256)))
      writeFileSync(cut, Buffer.concat([whole.subarray(0, length), rubbish]))
      const file = await LogFile.open(cut)
      const indices = []
      for await (const { sequence } of file.messages({ topics: ['/agent/telemetry'] })) indices.push(sequence)
      await file.close()
      t.same(
        indices,
        Array.from({ length: indices.length }, (_, i) => i),
        `${length} bytes: in order, without gaps`,
      )
      if (indices.length < before) t.fail(`${length} bytes hold fewer messages than fewer bytes`)
      before = indices.length
      // Mending is itself cut off: nothing is worse.
      await recoverFile(cut)
      const mended = statSync(cut).size
      truncateSync(cut, mended - 1 - rng.int(200))
      const again = await LogFile.open(cut)
      t.equal(again.channels.get('/agent/telemetry')?.count ?? 0, indices.length)
      await again.close()
    }
  },
)

t.test('damage in the middle ends a cut file there, and never passes as data', async t => {
  const path = await writtenLog(t.testdir())
  const whole = readFileSync(path)
  // Without its end, so that only the chunks themselves say what they are.
  const { summaryStart } = (await indexed(path)).footer
  const data = whole.subarray(0, Number(summaryStart) - 13)
  const rng = createRng('damage')
  for (let round = 0; round < 40; round++) {
    const damaged = Buffer.from(data)
    const at = 100 + rng.int(data.length - 100)
    damaged[at] ^= 1 << rng.int(8)
    writeFileSync(path, damaged)
    const file = await LogFile.open(path)
    const versions = []
    for await (const { sequence, timeNs } of file.messages({ topics: ['/agent/telemetry'] })) {
      versions.push(sequence)
      if (timeNs !== 1_700_000_000_000_000_000n + BigInt(sequence) * 500_000_000n) t.fail(`byte ${at}`)
    }
    t.same(
      versions,
      Array.from({ length: versions.length }, (_, i) => i),
      `byte ${at}`,
    )
    await file.close()
  }
})

async function indexed(path: string): Promise<McapIndexedReader> {
  const bytes = readFileSync(path)
  return McapIndexedReader.Initialize({
    readable: {
      size: async () => BigInt(bytes.length),
      read: async (offset, size) => bytes.subarray(Number(offset), Number(offset + size)),
    },
  })
}

t.test('what is no log says so', async t => {
  const dir = t.testdir({ 'x.mcap': 'not a log', empty: {} })
  await t.rejects(openFlight(join(dir, 'x.mcap')), /x\.mcap is no MCAP file/)
  await t.rejects(openFlight(join(dir, 'empty')), /There is no log \(\*\.mcap\) in/)
  await t.rejects(openFlight(join(dir, 'absent')), /Cannot read the log/)
  t.same(readdirSync(join(dir, 'empty')), [])
})
