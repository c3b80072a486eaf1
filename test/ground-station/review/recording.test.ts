import { cpSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { openTeacher } from '@kestrel/ground-station'
import { gather } from '@kestrel/ground-station/pretrain'
import {
  exportFlight,
  FlightLibrary,
  frameTimes,
  mountReview,
  openLog,
  writeReport,
} from '@kestrel/ground-station/review'
import { decodeStillBytes, decodeVideoFile } from '@kestrel/link'
import { ConfusionMatrix, type RgbImage } from '@kestrel/models'
import { silentLog, UserError } from '@kestrel/runtime'
import { aerialClasses } from '@kestrel/simulator'
import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import t from 'tap'
import { writeFlown } from '../../support/flown.js'

t.setTimeout(580_000)

const dir = t.testdir()
const id = 'kite-20261128-140000-a1b2'
const flown = await writeFlown({ dir, id, seconds: 24, offsetMs: 40_000, scenario: 'valley-to-town' })
const recording = await openLog(flown.folder)
t.teardown(() => recording.close())

/** Mean difference of two pictures' bytes. */
function difference(a: RgbImage, b: RgbImage): number {
  return a.data.reduce((sum, value, k) => sum + Math.abs(value - b.data[k]), 0) / a.data.length
}

t.test('A flight of both sides: what it says of itself is what was logged', async t => {
  const view = await recording.view()
  t.match(view, {
    ...{ id, kind: 'kestrel', drone: 'kite', complete: true, dated: true, frames: 20 },
    ...{ updates: 3, refused: 1, labels: { student: 24, teacher: 24, frozen: 24 } },
    classes: [...aerialClasses],
    configuration: { drone: 'kite', 'ams.updatePeriodS': '5' },
  })
  t.equal(view.track.timesMs.length, 24)
  t.ok(view.miou!.adapting > view.miou!.frozen)
  t.same(
    view.eventList.filter(({ type }) => type.startsWith('update')).map(({ version }) => version),
    [1, 2, 3, 4],
  )
  const modes = view.eventList.filter(({ type }) => type === 'mode').map(({ text }) => text)
  t.same(modes, ['Mode GUIDED', 'Mode AUTO'])
  t.ok(view.series.some(({ name }) => name === 'miouAdapting'))
})

t.test('Each frame is the one that was taken at its time', async t => {
  const times: number[] = []
  for await (const ms of frameTimes(recording)) times.push(ms)
  t.equal(times.length, 20, 'the last four were never sent')
  for (const [i, ms] of times.entries()) {
    t.ok(Math.abs(ms - flown.frames[i].captureMs) < 0.01)
    const found = (await recording.frame(ms))!
    const distances = flown.frames.map(({ image }) => difference(image, found))
    t.equal(distances.indexOf(Math.min(...distances)), i, `frame ${i}`)
  }
  const middle = await recording.moment(times[7] + 400)
  t.same([middle.frameMs, middle.previousMs, middle.nextMs], [times[7], times[6], times[8]])
  t.equal((await recording.moment(0)).frameMs, times[0], 'before the first frame: the first')
  t.equal(await recording.frame(times[3] + 100), undefined)
})

t.test('Labels and scores are those that were logged, at their frames', async t => {
  const sums = new ConfusionMatrix(aerialClasses.length)
  for (const { captureMs, truth } of flown.frames.slice(0, 20)) {
    const { labels } = await recording.moment(captureMs)
    t.ok(Math.abs(labels.teacher! - captureMs) < 0.01)
    const teacher = (await recording.labels('teacher', labels.teacher!))!
    t.same(Buffer.from(teacher.data), Buffer.from(truth.data))
  }
  for (const { captureMs, truth } of flown.frames) {
    const student = await recording.labels('student', (await recording.moment(captureMs)).labels.student!)
    if (captureMs <= flown.frames[19].captureMs) sums.add(truth, student!)
  }
  const toMs = flown.frames[19].captureMs + 1
  const scores = (await recording.scores({ fromMs: flown.frames[0].captureMs - 1, toMs }))!
  t.equal(scores.frames, 20)
  for (const [k, iou] of sums.iou().entries()) {
    t.ok(Math.abs((scores.classes[k].adapting ?? 0) - (iou ?? 0)) < 1e-9, `class ${k}`)
  }
  const whole = (await recording.scores())!
  t.equal(whole.frames, 24)
  t.ok(Math.abs(whole.classes.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9)
  const { best, worst } = await recording.highlights(2)
  const gains = (moments: typeof best) => moments.map(({ adapting, frozen }) => adapting - frozen)
  t.ok(best.length > 0 && worst.length > 0)
  t.ok(Math.min(...gains(best)) >= Math.max(...gains(worst)), 'also where the flight is short')
})

t.test(
  'An update is seen before and after: both versions run again on a frame, and a refused one, too',
  async t => {
    const updates = await recording.updates()
    t.same(
      updates.map(({ version, applied }) => [version, applied]),
      [
        [1, true],
        [2, true],
        [3, true],
        [4, false],
      ],
    )
    t.ok(updates.every(({ bytes }) => bytes > 1000))
    const second = (await recording.update(2))!
    t.equal(second.how, 'rerun', second.note)
    t.equal(second.before!.frameMs, second.after!.frameMs)
    const [before, after] = [
      (await recording.updateLabels(2, 'before'))!,
      (await recording.updateLabels(2, 'after'))!,
    ]
    t.same([before.width, before.height], [256, 144])
    t.notSame(Buffer.from(before.data), Buffer.from(after.data), 'the weights changed')
    const first = (await recording.updateLabels(1, 'after'))!
    t.equal(first.data.length, before.data.length)
    t.equal(await recording.update(77), undefined)
  },
)

t.test('Without the student the labels nearest in the log are shown, and it is said', async t => {
  const bare = t.testdir()
  const other = await writeFlown({
    dir: bare,
    id: 'kite-20261128-160000-0000',
    seconds: 10,
    student: 'mine.onnx',
  })
  const opened = await openLog(other.folder)
  const view = (await opened.update(1))!
  t.equal(view.how, 'logged')
  t.match(view.note, /mine.onnx is not on this machine/)
  t.ok(view.before!.frameMs < view.after!.frameMs)
  t.ok(view.before!.miou! < view.after!.miou!, 'the flight was made so')
  await opened.close()
})

t.test('Routes: what the page asks for, and clear refusals', async t => {
  const library = new FlightLibrary(dir)
  const app = new Hono()
  app.onError((error, context) => {
    const status = error instanceof HTTPException ? error.status : error instanceof UserError ? 400 : 500
    return context.json({ error: error.message }, status)
  })
  mountReview(app, library)
  const get = async (path: string) => app.request(`/api/review/flights${path}`)
  const json = async (path: string) => JSON.parse(await (await get(path)).text())
  const list = await json('')
  t.match(list.flights, [{ id, updates: 3, miou: { adapting: Number } }])
  const view = await json(`/${id}`)
  const series = await json(`/${id}/series?names=miouAdapting,heightM&points=100`)
  t.same(
    series.map(({ name }: { name: string }) => name),
    ['miouAdapting', 'heightM'],
  )
  t.ok(series[0].timesMs.length > 3)
  const at = flown.frames[5].captureMs
  const moment = await json(`/${id}/moment?at=${at}`)
  const frame = await get(`/${id}/frame/${moment.frameMs}`)
  t.equal(frame.headers.get('content-type'), 'image/jpeg')
  const image = decodeStillBytes(new Uint8Array(await frame.arrayBuffer()))
  t.ok(difference(image, flown.frames[5].image) < 12)
  const packed = await (await get(`/${id}/labels/teacher/${moment.labels.teacher}`)).arrayBuffer()
  const labels = gunzipSync(new Uint8Array(packed))
  t.same([labels.readUInt16LE(0), labels.readUInt16LE(2)], [256, 144])
  t.same(labels.subarray(4), Buffer.from(flown.frames[5].truth.data))
  t.equal((await get(`/${id}/frame/12345`)).status, 404)
  for (const [path, reason] of [
    ['/../../etc/passwd', /./],
    ['/nobody', /no flight nobody/],
    [`/${id}/series?names=nonsense`, /no series "nonsense"/],
    [`/${id}/series`, /Name 1 to 32 series/],
    [`/${id}/moment?at=noon`, /"noon"; expected a number/],
    [`/${id}/labels/mine/1`, /Labels are of the student/],
  ] as const) {
    const answer = await get(path)
    t.ok(answer.status >= 400, path)
    if (path.startsWith('/..')) continue
    t.match(JSON.parse(await answer.text()).error, reason)
  }
  const report = await get(`/${id}/report`)
  t.match(report.headers.get('content-disposition'), /attachment/)
  t.ok((await report.text()).length > 10_000)
  t.equal(view.id, id)
  await library.close()
})

t.test('The report is one page with everything in it, and nothing from elsewhere', async t => {
  const page = await writeReport([recording])
  t.match(page, /^<!doctype html>/)
  for (const text of [
    id,
    'student-aerial8-256x144.onnx',
    'IoU by class',
    'Best and worst moments',
    'ams.updatePeriodS',
    'it labels everything as one class',
  ])
    t.ok(page.includes(text), text)
  t.ok((page.match(/src="data:image\/jpeg;base64,/g) ?? []).length >= 6)
  t.ok((page.match(/<svg /g) ?? []).length > 10)
  t.notMatch(page, /(src|href)="(?!data:)/, 'no reference to anything')
  t.notMatch(page, /<script|url\(/)
  t.notMatch(page, /NaN|undefined|\[object/)
})

t.test('A name in a log cannot become markup of the report', async t => {
  const evil = t.testdir()
  const other = await writeFlown({
    dir: evil,
    id: 'kite-20261128-170000-0000',
    seconds: 2,
    student: '<img src=x onerror=alert(1)>',
  })
  const opened = await openLog(other.folder)
  const page = await writeReport([opened])
  t.notOk(page.includes('<img src=x'))
  t.ok(page.includes('&#60;img src=x'))
  await opened.close()
})

t.test('A dataset is read by evaluate’s teacher and by pretrain, and is what was flown', async t => {
  const out = join(t.testdir(), 'set')
  const lines = await exportFlight(recording, { format: 'dataset', out, source: flown.folder })
  t.match(lines[0], /20 frames with labels, 1.00 frames\/s/)
  const teacher = await openTeacher(`labels:${join(out, 'labels')}`, {
    studentClasses: [...aerialClasses],
    log: silentLog,
  })
  for (const i of [0, 7, 19]) {
    const map = await teacher.label(flown.frames[i].image, { sourceIndex: i, captureMs: 0 })
    t.same(Buffer.from(map.data), Buffer.from(flown.frames[i].truth.data))
  }
  await teacher.release()
  const sets = await gather(
    [{ pictures: join(out, 'frames'), teacher: `labels:${join(out, 'labels')}`, every: 1, weight: 1 }],
    {
      classes: [...aerialClasses],
      ...{ width: 256, height: 144, log: silentLog },
    },
  )
  t.equal(sets[0].examples.length, 20)
  t.ok(difference(sets[0].examples[7].image, flown.frames[7].image) < 10)
  await t.rejects(exportFlight(recording, { format: 'dataset', out, source: flown.folder }), /is not empty/)
})

t.test('The time series as CSV: a row for each moment, values as logged', async t => {
  const out = join(t.testdir(), 'flight.csv')
  await exportFlight(recording, { format: 'csv', out, source: flown.folder })
  const [head, ...rows] = readFileSync(out, 'utf8').trim().split('\n')
  const columns = head.split(',')
  const column = columns.indexOf('heightM [m]')
  t.ok(column > 1)
  const heights = rows.map(row => row.split(',')[column]).filter(cell => cell !== '')
  t.equal(heights.length, 24)
  t.ok(Math.abs(Number(heights[12]) - 30 * Math.sin(Math.PI / 2)) < 0.01)
  t.ok(rows.every(row => row.split(',').length === columns.length))
})

t.test('A film has every frame, and both overlays', async t => {
  const out = join(t.testdir(), 'flight.mp4')
  await exportFlight(recording, { format: 'mp4', out, source: flown.folder })
  const sizes: number[][] = []
  for await (const { image, ptsMs } of decodeVideoFile(out))
    sizes.push([image.width, image.height, Math.round(ptsMs)])
  t.equal(sizes.length, 20)
  t.same(sizes[0].slice(0, 2), [512, 144])
  t.ok(Math.abs(sizes[19][2] - 19_000 / 5) < 20, 'five times as fast')
  t.match(readFileSync(out.replace('.mp4', '.srt'), 'utf8'), /00:00:00,200 --> .*\n14:00:00, mIoU/)
})

t.test('A layout names topics that flights have; there is no tlog where none was kept', async t => {
  const out = join(t.testdir(), 'layout.json')
  await exportFlight(recording, { format: 'foxglove-layout', out, source: flown.folder })
  const layout = JSON.parse(readFileSync(out, 'utf8'))
  t.match(Object.keys(layout.configById), /Image!camera/)
  const topics = JSON.stringify(layout)
    .match(/"\/[a-z]+\/[a-z]+/g)!
    .map(text => text.slice(1))
  const known = [
    '/camera/sampled',
    '/labels/student',
    '/labels/teacher',
    '/learning/score',
    '/learning/phase',
    '/agent/telemetry',
    '/vehicle/state',
  ]
  t.ok(
    topics.every(topic => known.includes(topic)),
    topics.join(),
  )
  await t.rejects(
    exportFlight(recording, { format: 'tlog', out: join(t.testdir(), 'x.tlog'), source: flown.folder }),
    /has no telemetry log/,
  )
})

t.test('Bad input: one clear sentence each', async t => {
  const bad = t.testdir()
  const noLog = join(bad, 'note.mcap')
  writeFileSync(noLog, 'This is a note, no log at all, and long enough to look at.')
  await t.rejects(openLog(noLog), { name: 'UserError', message: /note.mcap is no flight log/ })
  await t.rejects(openLog(join(bad, 'absent.mcap')), {
    name: 'UserError',
    message: /There is no log .*absent/,
  })
  mkdirSync(join(bad, 'empty'))
  await t.rejects(openLog(join(bad, 'empty')), { name: 'UserError', message: /no log .*in .*empty/ })
  t.same(await new FlightLibrary(join(bad, 'empty')).list(), [])
  const { McapWriter } = await import('@mcap/core')
  const parts: Uint8Array[] = []
  const foreign = new McapWriter({
    writable: {
      position: () => BigInt(parts.reduce((sum, part) => sum + part.length, 0)),
      write: async part => void parts.push(part.slice()),
    },
  })
  await foreign.start({ profile: '', library: 'another program' })
  const schemaId = await foreign.registerSchema({
    name: 'x',
    encoding: 'jsonschema',
    data: Buffer.from('{}'),
  })
  const channelId = await foreign.registerChannel({
    schemaId,
    topic: '/odom',
    messageEncoding: 'json',
    metadata: new Map(),
  })
  await foreign.addMessage({ channelId, sequence: 0, logTime: 1n, publishTime: 1n, data: Buffer.from('{}') })
  await foreign.end()
  writeFileSync(join(bad, 'robot.mcap'), Buffer.concat(parts))
  await t.rejects(openLog(join(bad, 'robot.mcap')), {
    name: 'UserError',
    message: /robot.mcap is an MCAP file, but no flight log of Kestrel.*\/odom/,
  })
  const listed = await new FlightLibrary(bad).list()
  t.ok(
    listed.every(({ problem }) => problem !== undefined),
    'listed with the reason',
  )
})

t.test('A log that was cut off opens with what was written, and says so', async t => {
  const cut = join(t.testdir(), id)
  cpSync(flown.folder, cut, { recursive: true })
  const file = join(cut, 'drone.mcap')
  truncateSync(file, Math.floor(statSync(file).size * 0.6))
  const opened = await openLog(cut)
  const view = await opened.view()
  t.notOk(view.complete)
  t.match(view.notes, [/no end/])
  t.ok(view.frames > 5)
  const { frameMs } = await opened.moment(flown.frames[3].captureMs)
  t.ok((await opened.frame(frameMs!)) !== undefined)
  await opened.close()
})
