import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { diskStorage, FlightLog, type LogHandle, type LogStorage, openFlight } from '@kestrel/flight-log'
import type { Telemetry } from '@kestrel/link'
import { type Clock, createRng, type Log, silentLog, VirtualClock } from '@kestrel/runtime'
import t from 'tap'
import { testInfo } from './support.js'

t.setTimeout(180_000)

/** A disk that breaks and heals: every call on it goes through `fault`. */
function faultyStorage(fault: (what: string) => void): LogStorage {
  const wrap = (handle: LogHandle): LogHandle => ({
    async write(pieces, position) {
      try {
        fault('write')
      } catch (error) {
        // A part is written, as on a disk that fills up.
        await handle.write([Buffer.concat(pieces).subarray(0, 100)], position)
        throw error
      }
      await handle.write(pieces, position)
    },
    async truncate(length) {
      fault('truncate')
      await handle.truncate(length)
    },
    async sync() {
      fault('sync')
      await handle.sync()
    },
    close: () => handle.close(),
  })
  return {
    async create(path) {
      fault('create')
      return wrap(await diskStorage.create(path))
    },
    open: async path => wrap(await diskStorage.open(path)),
    remove: path => diskStorage.remove(path),
  }
}

function fullDisk(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
}

/** Lines that a log was given. */
function collectedLog(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const say = (message: string) => void lines.push(message)
  const log: Log = { ...silentLog, info: say, warn: say, error: say, child: () => log }
  return { log, lines }
}

/** Lets time pass until something has come about: the disk is a real one, whose time is not the clock's. */
async function until(clock: VirtualClock, condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 5000) throw new Error('it has not come about')
    await clock.advanceTo(clock.nowMs() + 100)
    await sleep(1)
  }
}

/** Logs a telemetry message every 100 ms for a while; returns how long a call took at most, ms. */
async function fly(log: FlightLog, clock: VirtualClock, from: number, count: number): Promise<number> {
  let longest = 0
  for (let i = from; i < from + count; i++) {
    const began = performance.now()
    log.telemetry({ timeUs: BigInt(Math.round(clock.nowMs() * 1000)), modelVersion: i })
    longest = Math.max(longest, performance.now() - began)
    await clock.advanceTo(clock.nowMs() + 100)
    if (i % 5 === 0) await sleep(1)
  }
  return longest
}

async function versions(folder: string): Promise<number[]> {
  const flight = await openFlight(folder)
  const found: number[] = []
  for await (const { message } of flight.messages('/agent/telemetry'))
    found.push((message as Telemetry).modelVersion)
  await flight.close()
  return found
}

t.test(
  'a disk that is full and has room again: one line each time, the flight goes on, nothing twice',
  async t => {
    const rng = createRng('full')
    for (let round = 0; round < 20; round++) {
      const clock: VirtualClock = new VirtualClock(1_700_000_000_000)
      const { log: lines, lines: said } = collectedLog()
      let full = false
      const storage = faultyStorage(what => {
        if (full && what !== 'truncate') throw fullDisk()
      })
      const info = testInfo(clock, 'drone', `full/${round}`)
      const log = new FlightLog({ dir: t.testdir(), info, storage, clock, log: lines })
      log.start()
      const first = 1 + rng.int(60)
      await fly(log, clock, 0, first)
      full = true
      await fly(log, clock, first, 100)
      await until(clock, () => /full/.test(log.trouble ?? ''))
      full = false
      await fly(log, clock, first + 100, 120)
      await until(clock, () => log.trouble === undefined)
      await log.stop()
      t.equal(log.trouble, undefined)
      t.equal(
        said.filter(line => /is not logged: the disk is full/.test(line)).length,
        1,
        `said once: ${said.join(' | ')}`,
      )
      t.equal(said.filter(line => /is logged again/.test(line)).length, 1)
      // What waited fits the queue: it is all there in the end.
      t.same(
        await versions(log.folder),
        Array.from({ length: first + 220 }, (_, i) => i),
      )
    }
  },
)

t.test('a disk that stays full costs the oldest of what waits, within the bound', async t => {
  const clock: VirtualClock = new VirtualClock(1_700_000_000_000)
  let full = false
  const storage = faultyStorage(() => {
    if (full) throw fullDisk()
  })
  const limits = { maxWaitingBytes: 4000 }
  const log = new FlightLog({
    dir: t.testdir(),
    info: testInfo(clock),
    storage,
    limits,
    clock,
    log: silentLog,
  })
  log.start()
  await fly(log, clock, 0, 50)
  const arrived = async () => (await versions(log.folder).catch((): number[] => [])).includes(49)
  while (!(await arrived())) await clock.advanceTo(clock.nowMs() + 100)
  full = true
  await fly(log, clock, 50, 2000)
  await until(clock, () => log.trouble !== undefined)
  t.ok(log.lost > 1500, `${log.lost} lost`)
  full = false
  await fly(log, clock, 2050, 100)
  await until(clock, () => log.trouble === undefined)
  await log.stop()
  const found = await versions(log.folder)
  t.same(
    found,
    [...found].sort((a, b) => a - b),
  )
  t.equal(new Set(found).size, found.length)
  t.ok(found.includes(0) && found.includes(2149), 'what came before and after is there')
  const flight = await openFlight(log.folder)
  const [gap] = (await flight.events()).filter(({ type }) => type === 'log-gap')
  t.match(gap?.text, /\d+ messages were lost/)
  await flight.close()
})

t.test('a disk that is gone and comes back: another file is begun', async t => {
  const clock: VirtualClock = new VirtualClock(1_700_000_000_000)
  let gone = false
  const storage = faultyStorage(() => {
    if (gone) throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' })
  })
  const log = new FlightLog({ dir: t.testdir(), info: testInfo(clock), storage, clock, log: silentLog })
  log.start()
  await fly(log, clock, 0, 50)
  gone = true
  await fly(log, clock, 50, 200)
  await until(clock, () => log.trouble !== undefined)
  // Twice more it is tried in vain.
  await clock.advanceTo(clock.nowMs() + 5000)
  await sleep(20)
  await clock.advanceTo(clock.nowMs() + 5000)
  await sleep(20)
  gone = false
  await fly(log, clock, 250, 100)
  await until(clock, () => log.trouble === undefined)
  await log.stop()
  t.same(readdirSync(log.folder).sort(), ['drone-2.mcap', 'drone.mcap'])
  t.same(
    await versions(log.folder),
    Array.from({ length: 350 }, (_, i) => i),
  )
})

t.test('a folder that cannot be made: said, and the flight goes on', async t => {
  const dir = t.testdir({ file: '' })
  const clock: Clock & VirtualClock = new VirtualClock(1_700_000_000_000)
  const { log: lines, lines: said } = collectedLog()
  const log = new FlightLog({ dir: join(dir, 'file'), info: testInfo(clock), tlog: true, clock, log: lines })
  log.start()
  await fly(log, clock, 0, 150)
  await log.stop()
  t.equal(said.filter(line => /is not logged/.test(line)).length, 1, said.join('\n'))
})

const canMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0
const mounting = { skip: canMount ? (false as const) : 'needs root to mount a tmpfs' }

t.test('a real file system of 300 kB that fills up', mounting, async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-full-'))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', dir]).status !== 0) {
    t.comment('skipped: a tmpfs cannot be mounted here')
    return
  }
  t.teardown(() => {
    execFileSync('umount', [dir])
    rmSync(dir, { recursive: true })
  })
  const clock: VirtualClock = new VirtualClock(1_700_000_000_000)
  const { log: lines, lines: said } = collectedLog()
  const log = new FlightLog({ dir, info: testInfo(clock), tlog: true, clock, log: lines })
  log.start()
  for (let i = 0; i < 100; i++) {
    await fly(log, clock, 5 * i, 5)
    log.envelope('segment', new Uint8Array(9000).fill(i))
  }
  t.match(log.trouble, /the disk is full/)
  t.equal(said.filter(line => /is not logged/.test(line)).length, 1)
  await log.stop()
  const found = await versions(log.folder)
  t.ok(found.length > 20, `${found.length} messages before the disk was full`)
  t.same(
    found,
    Array.from({ length: found.length }, (_, i) => i),
  )
  t.throws(() => writeFileSync(join(dir, 'more'), Buffer.alloc(200_000)), /ENOSPC/)
})

t.test('where there is no room, neither log grows; what waited is written once there is', async t => {
  const clock: VirtualClock = new VirtualClock(1_700_000_000_000)
  const log = new FlightLog({
    dir: t.testdir(),
    info: testInfo(clock),
    tlog: true,
    clock,
    log: silentLog,
  })
  log.start()
  const packet = new Uint8Array(20)
  const go = async (packets: number) => {
    for (let i = 0; i < packets; i++) log.packet(packet)
    await fly(log, clock, 0, 50)
  }
  await go(10)
  await until(clock, () => log.bytes > 10 * 28)
  log.hold('the logs may take 1 MB')
  // What is being written just then is written.
  await go(0)
  const { bytes } = log
  await go(100)
  t.equal(log.bytes, bytes)
  log.hold(undefined)
  await until(clock, () => log.bytes > bytes + 100 * 28)
  await log.stop()
  t.equal(statSync(join(log.folder, 'flight.tlog')).size, 110 * 28)
})
