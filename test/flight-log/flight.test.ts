import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import {
  type CompressedImage,
  decodeLabelPicture,
  encodeLabelPicture,
  FlightLog,
  keepQuota,
  listFlights,
  makeFlightId,
  miouOf,
  openFlight,
  parseFlightId,
  seriesKinds,
  withoutSecrets,
} from '@kestrel/flight-log'
import { decodeSegment, encodeEnvelope, encodeSegment, SegmentSchema, VideoCodec } from '@kestrel/link'
import { defaultPalette, IGNORE, type LabelMap, resizeLabels } from '@kestrel/models'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import t from 'tap'
import { movingScene, psnr } from '../link/pictures.js'
import { testInfo } from './support.js'

t.setTimeout(180_000)

t.test('ids: made, read, sorted, and foreign ones refused', async t => {
  const id = makeFlightId('scout-1', Date.UTC(2026, 10, 28, 17, 3, 9), createRng(1))
  t.match(id, /^scout-1-20261128-170309-[0-9a-f]{4}$/)
  t.same(parseFlightId(id), { drone: 'scout-1', startMs: Date.UTC(2026, 10, 28, 17, 3, 9) })
  for (const bad of [
    '',
    '..',
    '../x',
    'scout-1',
    `${id}/..`,
    `${id}x`,
    id.toUpperCase(),
    'a-20261399-000000-0000',
  ])
    t.equal(parseFlightId(bad), undefined, bad)
})

t.test('labels survive as pictures, unlabelled pixels too', async t => {
  const rng = createRng('labels')
  for (const [width, height] of [
    [1, 1],
    [7, 5],
    [256, 144],
    [300, 20],
    [2000, 2],
  ] as const) {
    const palette = defaultPalette(1 + rng.int(254))
    const value = () => (rng.int(9) === 0 ? IGNORE : rng.int(palette.length))
    const map: LabelMap = { width, height, data: Uint8Array.from({ length: width * height }, value) }
    const found = decodeLabelPicture(await encodeLabelPicture(map, palette))
    t.ok(found.width <= 256)
    t.same(
      found,
      resizeLabels(map, found.width, found.height),
      `${width}x${height}, ${palette.length} classes`,
    )
  }
})

t.test('secrets do not get into logs', async t => {
  const config = {
    broker: 'mqtt://me:hush@host:1883',
    camera: { passwordFile: '/etc/secret', source: 'rtsp://u:p@cam/1' },
    vehicle: { signingKey: '/etc/key' },
    student: 's.onnx',
  }
  const text = JSON.stringify(withoutSecrets(config))
  for (const secret of ['hush', '/etc/secret', 'u:p', '/etc/key']) t.notMatch(text, secret)
  t.match(text, 's.onnx')
})

/** The two sides of a flight of 60 s, the ground's clock 5 s ahead. */
async function flyTwoSides(dir: string, maxFileMs?: number) {
  const drone = new VirtualClock(1_700_000_000_000)
  const ground = new VirtualClock(1_700_000_005_000)
  const info = testInfo(drone)
  const limits = { maxFileMs }
  const logs = {
    drone: new FlightLog({ dir, info, limits, clock: drone, log: silentLog }),
    ground: new FlightLog({
      dir,
      info: { ...info, side: 'ground', startMs: ground.nowMs() },
      clock: ground,
      log: silentLog,
    }),
  }
  logs.drone.start()
  logs.ground.start()
  const labels: LabelMap = { width: 4, height: 2, data: Uint8Array.of(0, 1, 2, 255, 0, 1, 2, 0) }
  for (let i = 0; i < 600; i++) {
    const nowMs = drone.nowMs()
    const telemetry = { timeUs: BigInt(nowMs * 1000), fps: 20 + 10 * Math.sin(i / 20), modelVersion: i }
    logs.drone.telemetry(telemetry)
    logs.drone.traffic({ up: i * 1000, down: 0 })
    const pose = {
      positioned: true,
      latitudeDeg: 47 + i / 1e5,
      longitudeDeg: 8,
      altitudeM: 400,
      heightM: i / 10,
    }
    if (i % 2 === 0) logs.drone.vehicle({ connected: true, pose })
    if (i % 10 === 0) {
      const bytes = encodeEnvelope({ case: 'telemetry', value: telemetry }, { clock: drone })
      await ground.advanceTo(drone.nowMs() + 5000 + 30 + (i % 7))
      logs.ground.envelope('telemetry', bytes, BigInt(nowMs * 1000))
      logs.ground.telemetry(telemetry)
      logs.ground.labels('teacher', nowMs, labels)
      logs.ground.score({
        timeUs: BigInt(nowMs * 1000),
        adapting: 0.5 + i / 2000,
        frozen: 0.5,
        ...{ adaptingIntersection: [6n, 2n, 0n], adaptingUnion: [10n, 4n, 1n] },
        ...{ frozenIntersection: [5n, 1n, 0n], frozenUnion: [10n, 4n, 0n], truth: [8n, 3n, 0n] },
      })
    }
    if (i === 300) logs.drone.event('update-applied', 'Update 1 flies')
    if (i === 300) logs.ground.event('update-applied', 'Version 1 flies')
    await drone.advanceTo(nowMs + 100)
    if (i % 20 === 0) await sleep(1)
  }
  await logs.drone.stop()
  await logs.ground.stop()
  return { folder: logs.drone.folder, info, labels }
}

t.test("both sides make one flight in the drone's time", async t => {
  const dir = t.testdir()
  const { folder, info, labels } = await flyTwoSides(dir, 25_000)
  const names = readdirSync(folder)
  t.ok(names.includes('ground.mcap') && names.includes('drone-2.mcap'), names.join(' '))
  const flight = await openFlight(folder)
  t.equal(flight.info?.id, info.id)
  t.equal(flight.info?.side, 'drone')
  const { fromMs, toMs } = flight.timeRange!
  t.ok(Math.abs(fromMs - 1_700_000_000_000) < 100, `begins at ${fromMs}`)
  t.ok(Math.abs(toMs - 1_700_000_060_000) < 100, `ends at ${toMs}`)
  const indices: number[] = []
  for await (const { message, side } of flight.messages('/agent/telemetry')) {
    if (side !== 'drone') t.fail('the drone has it at first hand')
    indices.push((message as unknown as { modelVersion: number }).modelVersion)
  }
  t.same(
    indices,
    Array.from({ length: 600 }, (_, i) => i),
    'over three files',
  )
  const backwards: number[] = []
  const options = { fromMs: 1_700_000_010_000, toMs: 1_700_000_011_000, reverse: true, limit: 5 }
  for await (const { message } of flight.messages('/agent/telemetry', options)) {
    backwards.push((message as unknown as { modelVersion: number }).modelVersion)
  }
  t.same(backwards, [110, 109, 108, 107, 106])
  // The ground's messages are where they belong in the drone's time.
  const applied = (await flight.events()).filter(({ type }) => type === 'update-applied')
  t.equal(applied.length, 2)
  t.ok(Math.abs(applied[0].timeMs - applied[1].timeMs) < 50, 'the same moment on both sides')
  const latest = await flight.latest('/labels/teacher', 1_700_000_030_450)
  t.equal(latest?.timeMs, 1_700_000_030_000)
  t.same(decodeLabelPicture((latest?.message as CompressedImage).data), labels)
  t.equal(await flight.latest('/labels/teacher', fromMs - 1), undefined)
  const scores = await flight.scores()
  t.equal(scores?.frames, 60)
  t.equal(miouOf(scores!.adapting, scores!.truth), (6 / 10 + 2 / 4) / 2, 'over classes that the truth has')
  const track = await flight.track()
  t.same(track[0].slice(1), [47, 8, 400])
  t.equal(track.length, 300)
  await flight.close()
  const [entry] = await listFlights(dir)
  t.match(entry, {
    ...{ id: info.id, drone: 'scout-1', complete: true, sides: ['drone', 'ground'], place: { latitude: 47 } },
    updates: { applied: 1, refused: 0, rolledBack: 0 },
    lost: 0,
  })
  t.ok(Math.abs(entry.gain! - ((6 / 10 + 2 / 4) / 2 - (5 / 10 + 1 / 4) / 2)) < 1e-9, `gain ${entry.gain}`)
})

t.test('curves: the overview shows the extremes, a part of the flight is read finer', async t => {
  const { folder } = await flyTwoSides(t.testdir())
  const flight = await openFlight(folder)
  for (const name of flight.seriesNames) t.ok(Object.hasOwn(seriesKinds, name))
  const [fps] = await flight.series(['fps'])
  t.ok(fps.timesMs.length <= 500 && fps.timesMs.length > 100, `${fps.timesMs.length} points`)
  t.ok(Math.abs(Math.max(...fps.max!) - 30) < 0.05 && Math.abs(Math.min(...fps.min!) - 10) < 0.05)
  t.same(
    [...fps.timesMs].sort((a, b) => a - b),
    fps.timesMs,
  )
  const fromMs = 1_700_000_020_000
  const [fine] = await flight.series(['fps'], { fromMs, toMs: fromMs + 2000, maxPoints: 100 })
  t.equal(fine.timesMs.length, 21, 'every message')
  for (const [i, value] of fine.values.entries()) {
    const expected = 20 + 10 * Math.sin((200 + i) / 20)
    if (Math.abs(value - expected) > 1e-5) t.fail(`${value} at ${i}, expected ${expected}`)
  }
  const [up] = await flight.series(['uplinkKbps'], { fromMs, toMs: fromMs + 5000, maxPoints: 1000 })
  t.ok(
    up.values.every(value => Math.abs(value - 80) < 0.01),
    '1000 bytes every 100 ms',
  )
  await flight.close()
})

t.test("sampled frames are the clip's own pictures, each under its moment, and decode to it", async t => {
  const dir = t.testdir()
  const clock = new VirtualClock(1_700_000_100_000)
  const log = new FlightLog({ dir, info: testInfo(clock), clock, log: silentLog })
  log.start()
  const images = [0, 1, 2, 3, 4, 5].map(i => movingScene(i, 64, 48))
  for (const clip of [0, 1]) {
    const video = await encodeSegment(images, { codec: 'h264', targetKbps: 400, durationS: 6 })
    const frames = images.map((_, i) => ({
      frameId: BigInt(i),
      captureUs: BigInt(1_700_000_000_000_000 + (clip * 6 + i) * 1e6),
    }))
    const segment = create(SegmentSchema, { codec: VideoCodec.H264, width: 64, height: 48, video, frames })
    log.sampled(segment)
  }
  await log.stop()
  const flight = await openFlight(log.folder)
  const times: number[] = []
  for await (const { timeMs } of flight.messages('/camera/sampled')) times.push(timeMs)
  t.same(
    times,
    Array.from({ length: 12 }, (_, i) => 1_700_000_000_000 + i * 1000),
  )
  for (const [atMs, count] of [
    [1_700_000_000_000, 1],
    [1_700_000_003_500, 4],
    [1_700_000_006_000, 1],
    [1_700_000_011_900, 6],
  ]) {
    const clip = (await flight.clipAt(atMs))!
    t.equal(clip.pictures.length, count, `at ${atMs}`)
    const options = { codec: 'h264' as const, width: 64, height: 48, frames: count }
    const decoded = await decodeSegment(Buffer.concat(clip.pictures), options)
    const last = decoded.at(-1)!
    const likeness = images.map(image => psnr(image, last))
    t.equal(likeness.indexOf(Math.max(...likeness)), count - 1, `it shows frame ${count - 1}`)
  }
  await flight.close()
})

t.test('quota: the oldest go first, never a current one, and nothing else is touched', async t => {
  const dir = t.testdir({ 'notes.txt': 'mine', other: { 'a.mcap': 'x'.repeat(5000) } })
  const ids = [3, 1, 2, 5, 4].map(day => makeFlightId('scout-1', Date.UTC(2026, 0, day), createRng(day)))
  for (const id of ids) {
    mkdirSync(join(dir, id))
    writeFileSync(join(dir, id, 'drone.mcap'), Buffer.alloc(1000))
  }
  const sorted = [...ids].sort()
  const first = await keepQuota(dir, { maxBytes: 3500 })
  t.same(first, { removed: sorted.slice(0, 2), bytes: 3000, over: false })
  const second = await keepQuota(dir, { maxBytes: 1500, current: [sorted[2]] })
  t.same(second, { removed: sorted.slice(3), bytes: 1000, over: false })
  const third = await keepQuota(dir, { maxBytes: 10, current: [sorted[2]] })
  t.same(third, { removed: [], bytes: 1000, over: true })
  t.same(readdirSync(dir).sort(), ['notes.txt', 'other', sorted[2]].sort())
})

t.test('the list mends what was cut off once nobody writes to it, and lists what it cannot read', async t => {
  const dir = t.testdir()
  const { folder } = await flyTwoSides(dir)
  const path = join(folder, 'drone.mcap')
  const { readFileSync } = await import('node:fs')
  writeFileSync(path, readFileSync(path).subarray(0, -5000))
  t.equal((await listFlights(dir))[0].complete, false, 'it may still be written to')
  const before = new Date(Date.now() - 120_000)
  utimesSync(path, before, before)
  t.equal((await listFlights(dir, { mend: false }))[0].complete, false)
  const [mended] = await listFlights(dir)
  t.equal(mended.complete, true)
  t.equal(mended.updates.applied, 1, 'its summary is made again')
  const broken = makeFlightId('scout-2', Date.UTC(2020, 0, 1), createRng(9))
  mkdirSync(join(dir, broken))
  writeFileSync(join(dir, broken, 'drone.mcap'), 'rubbish')
  const list = await listFlights(dir)
  t.equal(list.length, 2)
  t.match(list[1], { id: broken, problem: /no MCAP file/ })
  t.same(await listFlights(join(dir, 'absent')), [])
})
