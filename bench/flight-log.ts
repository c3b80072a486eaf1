import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { create } from '@bufbuild/protobuf'
import { FlightLog, LogFile, makeFlightId } from '@kestrel/flight-log'
import { encodeEnvelope, encodeSegment, type Segment, SegmentSchema, VideoCodec } from '@kestrel/link'
import { encode, message } from '@kestrel/link/mavlink'
import { defaultPalette, type LabelMap } from '@kestrel/models'
import { createRng, RealClock, silentLog, UserError } from '@kestrel/runtime'
import { loadScenario, SimCamera } from '@kestrel/simulator'
import { common } from 'mavlink-mappings'

const USAGE = `npm run bench -- flight-log [options]

  --seconds N   of a flight that are logged, in real time (default 60)
  --size WxH    of the labels (default 512x288)`

const FPS = 30
const MAVLINK_HZ = 60
const PERIOD_S = 10

/**
 * What it costs the drone to log: CPU time of the process, all threads, as a share of one core, and memory. Everything that an agent logs is
 * logged in real time: labels of two frames a second, a segment every 10 s, updates, telemetry, the vehicle and 60 MAVLink packets a second.
 * What makes these things is done before, and not counted.
 */
export async function benchFlightLog(argv: string[]): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      seconds: { ...text, default: '60' },
      size: { ...text, default: '512x288' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const seconds = Number(values.seconds)
  const [width, height] = values.size.split('x').map(Number)
  if (!(seconds >= 2 && width > 0 && height > 0)) throw new UserError(USAGE)
  const scenes = await prepare(width, height)
  const idle = await run(seconds / 4, scenes, undefined)
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-bench-'))
  const clock = new RealClock()
  const startMs = clock.nowMs()
  const classes = Array.from({ length: 8 }, (_, i) => `class ${i}`)
  const log = new FlightLog({
    dir,
    info: {
      id: makeFlightId('bench', startMs, createRng(startMs)),
      ...{ drone: 'bench', side: 'drone', startMs, software: 'bench', student: 'bench', classes },
      ...{ palette: defaultPalette(classes.length), configuration: '{}' },
    },
    ...{ tlog: true, clock, log: silentLog },
  })
  log.start()
  const busy = await run(seconds, scenes, log)
  await log.stop()
  const path = join(log.folder, 'drone.mcap')
  const file = await LogFile.open(path)
  const messages = [...file.channels.values()].reduce((sum, { count }) => sum + count, 0)
  await file.close()
  const core = busy.core - idle.core
  const bytes = statSync(path).size + statSync(join(log.folder, 'flight.tlog')).size
  rmSync(dir, { recursive: true })
  const result = {
    ...{ seconds, size: `${width}x${height}`, fps: FPS, messages, lost: log.lost },
    core,
    coreWithLoop: busy.core,
    longestCallMs: busy.longestMs,
    kBps: bytes / 1000 / seconds,
    MBperHour: (3600 * bytes) / 1e6 / seconds,
    memoryMB: busy.peakMB - idle.peakMB,
  }
  console.log(
    `${messages} messages in ${seconds} s, ${result.kBps.toFixed(1)} kB/s (${result.MBperHour.toFixed(0)} MB an hour), ${log.lost} lost`,
  )
  console.log(
    `logging takes ${(100 * core).toFixed(2)} % of a core (the loop alone ${(100 * idle.core).toFixed(2)} %); the longest call ${busy.longestMs.toFixed(2)} ms; ` +
      `${(busy.peakMB - idle.peakMB).toFixed(1)} MB of memory at the peak, garbage that waits to be collected included`,
  )
  console.log(JSON.stringify({ bench: 'flight-log', ...result }))
}

interface Scenes {
  labels: LabelMap[]
  segment: Segment
  message: Uint8Array
  packets: Buffer[]
}

async function prepare(width: number, height: number): Promise<Scenes> {
  const camera = new SimCamera(loadScenario('valley-to-town'), { width, height })
  const views = Array.from({ length: PERIOD_S }, (_, i) => {
    const { image, labels } = camera.render(60 + i)
    return {
      image: { ...image, data: image.data.slice() },
      labels: { ...labels, data: labels.data.map(label => label % 8) },
    }
  })
  const images = views.map(({ image }) => image)
  const video = await encodeSegment(images, { codec: 'h264', targetKbps: 200, durationS: PERIOD_S })
  const frames = images.map((_, i) => ({ frameId: BigInt(i), captureUs: BigInt(1e15 + i * 1e6) }))
  const segment = create(SegmentSchema, { codec: VideoCodec.H264, width, height, video, frames })
  const clock = new RealClock()
  const packets = Array.from({ length: 256 }, (_, i) =>
    encode(
      message(common.Attitude, {
        timeBootMs: i,
        ...{ roll: i / 100, pitch: 0, yaw: 1, rollspeed: 0, pitchspeed: 0, yawspeed: 0 },
      }),
      i,
      { system: 1, component: 1 },
    ),
  )
  return {
    ...{ labels: views.map(({ labels }) => labels), segment, packets },
    message: encodeEnvelope({ case: 'segment', value: segment }, { clock }),
  }
}

/** A flight at 30 fps: with a log it is logged, without it is what the loop itself costs. */
async function run(seconds: number, scenes: Scenes, log: FlightLog | undefined) {
  const { labels, segment, message: envelope, packets } = scenes
  const pose = { positioned: true, latitudeDeg: 47, longitudeDeg: 8, altitudeM: 500, rollRad: 0, yawRad: 1 }
  const update = encodeEnvelope(
    { case: 'update', value: { baseVersion: 1, version: 2, parts: 1, data: new Uint8Array(60_000).fill(9) } },
    { clock: new RealClock() },
  )
  let peakBytes = 0
  let longestMs = 0
  const before = process.cpuUsage()
  const beganMs = performance.now()
  for (let frame = 0; frame < seconds * FPS; frame++) {
    const began = performance.now()
    const every = (perSecond: number) => frame % Math.round(FPS / perSecond) === 0
    for (let i = 0; i < MAVLINK_HZ / FPS; i++) log?.packet(packets[(2 * frame + i) & 0xff])
    if (every(5)) log?.vehicle({ connected: true, armed: true, mode: 'AUTO', pose, satellites: 12 })
    if (every(2)) log?.labels('student', Date.now(), labels[frame % labels.length])
    if (every(1)) {
      log?.telemetry({ fps: FPS, latencyP50Ms: 20, modelVersion: 2, board: { cpu: 0.5, memory: 0.4 } })
      log?.traffic({ up: frame * 1000, down: frame * 200 })
    }
    if (every(0.2)) log?.line({ level: 'info', part: 'bench', message: 'A line such as an agent writes' })
    if (every(1 / PERIOD_S)) {
      log?.sampled(segment)
      log?.envelope('segment', envelope.slice())
      log?.envelope('update', update.slice())
      log?.event('update-applied', 'Update 2 flies')
    }
    longestMs = Math.max(longestMs, performance.now() - began)
    if (frame % FPS === 0) {
      const { heapUsed, external } = process.memoryUsage()
      peakBytes = Math.max(peakBytes, heapUsed + external)
    }
    const dueMs = beganMs + ((frame + 1) * 1000) / FPS
    await new Promise(resolve => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
  }
  const { user, system } = process.cpuUsage(before)
  const wallMs = performance.now() - beganMs
  return { core: (user + system) / 1000 / wallMs, longestMs, peakMB: peakBytes / 1e6 }
}
