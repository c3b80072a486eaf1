import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { diskStorage, FlightLog, LogFile, type LogStorage } from '@kestrel/flight-log'
import { encodeEnvelope, TelemetrySchema } from '@kestrel/link'
import { createRng, type Log, RealClock, VirtualClock } from '@kestrel/runtime'
import { McapIndexedReader, McapStreamReader } from '@mcap/core'
import t from 'tap'
import { testInfo } from './support.js'

t.setTimeout(180_000)

t.test(
  'what was logged is in the file, by the reference reader: topics, counts, times, sequence, bytes',
  async t => {
    const clock = new VirtualClock(1_700_000_000_000.376)
    const dir = t.testdir()
    const lines: string[] = []
    const say = (line: string) => void lines.push(line)
    const said: Log = { debug: say, info: say, warn: say, error: say, child: () => said }
    const log = new FlightLog({ dir, info: testInfo(clock), clock, log: said })
    log.start()
    const sent: { topic: string; timeMs: number; data?: Uint8Array }[] = []
    const rng = createRng('flight-log')
    for (let i = 0; i < 200; i++) {
      await clock.advanceTo(clock.nowMs() + 1 + rng.int(60_000) / 1000)
      const timeMs = clock.nowMs()
      const kind = rng.int(4)
      if (kind === 0) {
        const value = { timeUs: BigInt(Math.round(timeMs * 1000)), fps: rng.float() * 30, modelVersion: i }
        log.telemetry(value)
        sent.push({ topic: '/agent/telemetry', timeMs })
      } else if (kind === 1) {
        const value = { modelVersion: i, reason: 'x'.repeat(rng.int(100_000)) }
        const bytes = encodeEnvelope({ case: 'resync', value }, { clock })
        log.envelope('resync', bytes)
        sent.push({ topic: '/link/resync', timeMs, data: bytes })
      } else if (kind === 2) {
        log.vehicle({ connected: true, pose: { positioned: true, latitudeDeg: 1, longitudeDeg: i } })
        sent.push({ topic: '/vehicle/state', timeMs }, { topic: '/vehicle/position', timeMs })
      } else {
        log.line({ level: 'info', part: 'x', message: `line ${i}` })
        sent.push({ topic: '/log', timeMs })
      }
      // The disk is a real one, its time is not the clock's.
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    await log.stop()
    t.same(lines, [], 'nothing to complain of')
    const path = join(log.folder, 'drone.mcap')
    const handle = await open(path)
    const reader = await McapIndexedReader.Initialize({
      readable: {
        size: async () => BigInt((await handle.stat()).size),
        read: async (offset, size) => {
          const { buffer } = await handle.read(Buffer.alloc(Number(size)), 0, Number(size), Number(offset))
          return buffer
        },
      },
    })
    for (const topic of new Set(sent.map(({ topic }) => topic))) {
      const expected = sent.filter(message => message.topic === topic)
      const found = []
      for await (const message of reader.readMessages({ topics: [topic] })) found.push(message)
      t.same(
        found.map(({ logTime, sequence }) => [logTime, sequence]),
        expected.map(({ timeMs }, i) => [BigInt(Math.round(timeMs * 1000)) * 1000n, i]),
        `${topic}: times and sequence`,
      )
      for (const [i, { data }] of expected.entries()) {
        if (data !== undefined && Buffer.compare(data, found[i].data) !== 0) t.fail(`${topic} ${i} differs`)
      }
      const [channel] = [...reader.channelsById.values()].filter(channel => channel.topic === topic)
      t.equal(reader.statistics?.channelMessageCounts.get(channel.id), BigInt(expected.length), 'statistics')
      // A viewer knows the message by the schema record alone.
      const schema = reader.schemasById.get(channel.schemaId)!
      const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, schema.data))
      const type = registry.getMessage(schema.name)!
      t.ok(type, schema.name)
      if (topic === '/agent/telemetry') {
        const message = fromBinary(type, found[0].data) as unknown as { modelVersion: number }
        t.equal(message.modelVersion, fromBinary(TelemetrySchema, found[0].data).modelVersion)
      }
    }
    await handle.close()
    // Every CRC, of chunks, attachments and the summary, and every record in its place.
    const stream = new McapStreamReader({ validateCrcs: true })
    stream.append(readFileSync(path))
    let messages = 0
    for (let record = stream.nextRecord(); record !== undefined; record = stream.nextRecord()) {
      if (record.type === 'Message') messages += 1
    }
    t.ok(stream.done())
    t.equal(messages, sent.length + 2, 'and the begin and the end of the flight')
    if (spawnSync('python3', ['--version']).status !== 0)
      return t.comment('skipped: no python3 to read it with')
    const check = join(import.meta.dirname, '../../flight-log/mcap_check.py')
    const read = execFileSync('python3', [check, path], { encoding: 'utf8' }).trim().split('\n')
    const counts = new Map<string, number>()
    const expected = sent.map(({ topic, timeMs }) => {
      const sequence = counts.get(topic) ?? 0
      counts.set(topic, sequence + 1)
      return `${topic} ${sequence} ${BigInt(Math.round(timeMs * 1000)) * 1000n}`
    })
    t.same(
      read.filter(line => !line.startsWith('/events')).sort(),
      expected.sort(),
      'the same by a reader in Python that knows the specification only',
    )
  },
)

t.test('topics that come while a file is being begun, and real time', async t => {
  const clock = new RealClock()
  const storage: LogStorage = {
    ...diskStorage,
    async create(path) {
      await clock.sleep(300)
      return diskStorage.create(path)
    },
  }
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  const said: Log = { debug: say, info: say, warn: say, error: say, child: () => said }
  const log = new FlightLog({ dir: t.testdir(), info: testInfo(clock), storage, clock, log: said })
  log.start()
  const data = Uint8Array.of(0, 1, 2, 0)
  for (let i = 0; i < 8; i++) {
    await clock.sleep(60)
    if (i > 0) log.telemetry({ modelVersion: i })
    if (i > 1) log.line({ level: 'warn', part: '', message: 'x' })
    if (i > 2) log.labels('student', clock.nowMs(), { width: 2, height: 2, data })
    if (i > 4) log.vehicle({ pose: { positioned: true, latitudeDeg: 1 } })
  }
  await log.stop()
  t.same(lines, [])
  const file = await LogFile.open(join(log.folder, 'drone.mcap'))
  const count = (topic: string) => file.channels.get(topic)?.count
  t.same(['/agent/telemetry', '/log', '/labels/student', '/vehicle/position'].map(count), [7, 6, 5, 3])
  await file.close()
})
