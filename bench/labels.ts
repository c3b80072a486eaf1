import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodeHello, LabelEncoder, LabelSocket, LabelSummary, Readers } from '@kestrel/agent'
import { type LabelMap, readStudentFile, StudentRunner } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'
import { loadScenario, SimCamera } from '@kestrel/simulator'

const USAGE = `npm run bench -- labels [options]

  --student FILE   (default: both shipped ones)
  --scenario NAME  of the flight that is labelled (default valley-to-town)
  --frames N       different frames, 2 s of flight apart (default 40)
  --repeats N      (default 50)`

const FPS = 30

/** What it costs to give labels out: the encoding alone, and with a reader on the Unix socket, as a share of one core at 30 fps. */
export async function benchLabels(argv: string[]): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      student: text,
      scenario: { ...text, default: 'valley-to-town' },
      frames: { ...text, default: '40' },
      repeats: { ...text, default: '50' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const models = join(import.meta.dirname, '../../models')
  const files =
    values.student === undefined
      ? ['256x144', '512x288'].map(size => join(models, `student-aerial8-${size}.onnx`))
      : [values.student]
  const results = []
  for (const file of files) {
    results.push(await measure(file, values.scenario, Number(values.frames), Number(values.repeats)))
  }
  console.log(JSON.stringify({ bench: 'labels', fps: FPS, results }))
}

async function measure(file: string, scenario: string, frames: number, repeats: number) {
  const student = readStudentFile(file)
  const { width, height } = student.input
  const maps = await labelFlight(file, scenario, frames)
  const encoder = new LabelEncoder()
  const encode = (sequence: number) => {
    const map = maps[sequence % maps.length]
    return encoder.encode({
      ...{ sequence, frameId: sequence, captureMs: 1e12 + sequence, modelVersion: 1, latencyMs: 20 },
      ...{ classes: student.classes.length, map },
    })
  }
  const count = repeats * maps.length
  for (let i = 0; i < count / 5; i++) encode(i)
  let bytes = 0
  const encodeMs = cpuMs(count, i => {
    bytes += encode(i).length
  })
  const summary = new LabelSummary({
    classes: student.classes,
    window: { left: 0.3, top: 0.5, right: 0.7, bottom: 1 },
  })
  const summaryMs = cpuMs(count, i => summary.values(maps[i % maps.length]))
  const served = await serve(encode, count)
  const row = {
    student: file.split('/').at(-1),
    size: `${width}x${height}`,
    bytesPerFrame: Math.round(bytes / count),
    share: bytes / count / (width * height),
    kbps: (8 * FPS * bytes) / count / 1000,
    /** CPU time a frame, and as a share of one core at 30 fps: encoding alone; and with sending, and Node's own work for it. */
    encodeMs,
    coreEncoding: (FPS * encodeMs) / 1000,
    serveMs: served.cpuMs,
    coreServing: (FPS * served.cpuMs) / 1000,
    summaryMs,
  }
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`
  console.log(
    `${row.student}: ${row.bytesPerFrame} bytes a frame (${percent(row.share)} of a byte a pixel), ${row.kbps.toFixed(0)} kbit/s at ${FPS} fps`,
  )
  console.log(`  encoding ${encodeMs.toFixed(3)} ms of CPU a frame: ${percent(row.coreEncoding)} of a core`)
  console.log(
    `  with a reader on the Unix socket ${served.cpuMs.toFixed(3)} ms of CPU a frame: ${percent(row.coreServing)} of a core (${served.read} of ${count} frames read)`,
  )
  console.log(`  areas and clear ground ${summaryMs.toFixed(3)} ms, once a second`)
  return row
}

/** What the student makes of a simulated flight. */
async function labelFlight(file: string, scenario: string, frames: number): Promise<LabelMap[]> {
  const student = readStudentFile(file)
  const runner = await StudentRunner.create(student, student.bytes)
  const camera = new SimCamera(loadScenario(scenario), student.input)
  const maps: LabelMap[] = []
  for (let i = 0; i < frames; i++) {
    const { image } = camera.render(40 + 2 * i)
    const { data } = await runner.label(image)
    maps.push({ width: student.input.width, height: student.input.height, data: data.slice() })
  }
  await runner.release()
  return maps
}

/** CPU time of this process a frame, the reader's share of it included: it only counts what comes, on the same thread. */
async function serve(encode: (sequence: number) => Uint8Array, count: number) {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-bench-'))
  const hello = { drone: 'bench', software: '', student: '', width: 1, height: 1, classes: [], palette: [] }
  const readers = new Readers({ hello: encodeHello(hello), max: 1 })
  const socket = new LabelSocket({
    path: join(folder, 'labels.sock'),
    access: 'owner',
    readers,
    log: silentLog,
  })
  await socket.start()
  const reader = connect(join(folder, 'labels.sock'))
  await once(reader, 'data')
  reader.on('data', () => {})
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) {
    readers.offer(encode(i))
    await new Promise(resolve => setImmediate(resolve))
  }
  const { user, system } = process.cpuUsage(before)
  const { sent: read } = readers.totals
  reader.destroy()
  await socket.stop()
  rmSync(folder, { recursive: true })
  return { cpuMs: (user + system) / 1000 / count, read }
}

/** CPU time of this process an action: other processes on the machine do not count. */
function cpuMs(count: number, action: (i: number) => unknown): number {
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) action(i)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / count
}
