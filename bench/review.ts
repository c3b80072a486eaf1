import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { create } from '@bufbuild/protobuf'
import { FlightLog } from '@kestrel/flight-log'
import { encodeSegment, type Segment, SegmentSchema, VideoCodec } from '@kestrel/link'
import { createRng, silentLog, VirtualClock } from '@kestrel/runtime'
import { aerialClasses, aerialPalette } from '@kestrel/simulator'

const ground = join(import.meta.dirname, '../../ground-station/bin/kestrel-ground.js')
const ID = 'bench-20261128-140000-0001'
const FRAMES = 10
const [WIDTH, HEIGHT] = [1280, 720]

/**
 * Writes a log of the size that is asked for (2 GB by default), starts `kestrel-ground review` on it and measures from the start of the
 * process until a page has all of its first view: list, flight, curves, a frame from the middle and its labels.
 *
 * @param argv the size in GB; or a folder, in which the log is written unless it is there, and kept, so that it can be measured again
 */
export async function benchReview([what = '2']: string[]): Promise<void> {
  const given = Number.isNaN(Number(what))
  const dir = given ? what : mkdtempSync(join(tmpdir(), 'kestrel-review-'))
  try {
    if (!existsSync(join(dir, ID))) await write(dir, 1e9 * (given ? 2 : Number(what)))
    const file = readdirSync(join(dir, ID)).map(name => join(dir, ID, name))[0]
    const gigabytes = statSync(file).size / 1e9
    console.log(`a log of ${gigabytes.toFixed(2)} GB in one file`)
    const figures = await look(dir)
    for (const [what, ms] of Object.entries(figures.stepsMs))
      console.log(`${what.padEnd(36)} ${ms.toFixed(0).padStart(6)} ms`)
    console.log(`${'memory at most'.padEnd(36)} ${figures.peakMB.toFixed(0).padStart(6)} MB`)
    console.log(JSON.stringify({ gigabytes, ...figures }))
  } finally {
    if (!given) rmSync(dir, { recursive: true, force: true })
  }
}

async function write(dir: string, bytes: number): Promise<void> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 28, 14))
  const info = {
    ...{ id: ID, drone: 'bench', side: 'drone' as const, startMs: clock.nowMs(), software: 'bench' },
    ...{
      student: 'student.onnx',
      classes: [...aerialClasses],
      palette: [...aerialPalette],
      configuration: '{}',
    },
  }
  const log = new FlightLog({
    ...{ dir, info: info as never, clock, log: silentLog },
    limits: { maxFileBytes: 1e12, maxFileMs: 1e12, maxWaitingBytes: 256e6 },
  })
  log.start()
  const video = await noisyClip()
  const map = { width: 256, height: 144, data: new Uint8Array(256 * 144) }
  for (let second = 0; log.bytes < bytes; second++) {
    await clock.advanceTo(clock.nowMs() + 1000)
    const turn = second / 300
    log.vehicle({
      ...{ connected: true, armed: true, mode: 'AUTO', satellites: 14 },
      pose: {
        ...{
          positioned: true,
          latitudeDeg: 47 + Math.sin(turn) / 100,
          longitudeDeg: 8 + Math.cos(turn) / 100,
        },
        ...{ altitudeM: 500, heightM: 60, speedMps: 9, rollRad: 0.1, pitchRad: 0.1, yawRad: turn % 6 },
      },
    })
    log.telemetry({ timeUs: BigInt(clock.nowMs() * 1000), fps: 30, latencyP50Ms: 30, modelVersion: 1 })
    log.labels('student', clock.nowMs(), map)
    if (second % FRAMES === 0) {
      const frames = Array.from({ length: FRAMES }, (_, i) => ({
        captureUs: BigInt((clock.nowMs() + 1000 * i) * 1000),
      }))
      log.sampled(create(SegmentSchema, { ...video, frames }))
      if (second % 300 === 0) log.event('update-applied', `Flies version ${second / 300}`)
    }
    // The disk is a real one; what it has not taken yet must not pile up.
    await new Promise(resolve => setImmediate(resolve))
    if (second % 20 === 0) await new Promise(resolve => setTimeout(resolve, 30))
  }
  await log.stop()
}

/** Ten pictures of 720p that do not compress: some 2 MB together. */
async function noisyClip(): Promise<Pick<Segment, 'codec' | 'width' | 'height' | 'video'>> {
  const rng = createRng('bench/review')
  const images = Array.from({ length: FRAMES }, () => ({
    width: WIDTH,
    height: HEIGHT,
    data: Uint8Array.from({ length: 3 * WIDTH * HEIGHT }, () => rng.int(256)),
  }))
  const video = await encodeSegment(images, { codec: 'h264', targetKbps: 1600, durationS: FRAMES })
  return { codec: VideoCodec.H264, width: WIDTH, height: HEIGHT, video }
}

async function look(
  dir: string,
): Promise<{ stepsMs: Record<string, number>; firstViewMs: number; peakMB: number }> {
  const stepsMs: Record<string, number> = {}
  const beganMs = performance.now()
  const child = spawn(process.execPath, [ground, 'review', dir, '--port', '0', '--no-open'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const origin = new URL(line.slice(line.indexOf('http'))).origin
    const step = async (what: string, path: string): Promise<Response> => {
      const fromMs = performance.now()
      const answer = await fetch(`${origin}/api/review/flights${path}`)
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
      const copy = answer.clone()
      await answer.arrayBuffer()
      stepsMs[what] = performance.now() - fromMs
      return copy
    }
    stepsMs['start of the process, list read'] = performance.now() - beganMs
    await step('list', '')
    const view = (await (await step('flight: track, events, figures', `/${ID}`)).json()) as {
      beginMs: number
      endMs: number
      series: { name: string; standard?: boolean }[]
    }
    const names = view.series.flatMap(({ name, standard }) => (standard ? [name] : [])).slice(0, 24)
    await step(`${names.length} curves of the whole flight`, `/${ID}/series?names=${names}&points=1200`)
    const middle = (view.beginMs + view.endMs) / 2
    const moment = (await (
      await step('what is to be seen in the middle', `/${ID}/moment?at=${middle}`)
    ).json()) as {
      frameMs: number
      labels: { student: number }
    }
    await step('its frame (720p, decoded)', `/${ID}/frame/${moment.frameMs}`)
    await step('its labels', `/${ID}/labels/student/${moment.labels.student}`)
    const firstViewMs = performance.now() - beganMs
    stepsMs['first view, in all'] = firstViewMs
    const stretch = `from=${middle}&to=${middle + 600_000}`
    await step('curves of ten minutes, from messages', `/${ID}/series?names=${names}&points=1200&${stretch}`)
    const peakKB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1])
    return { stepsMs, firstViewMs, peakMB: peakKB / 1000 }
  } finally {
    child.kill('SIGTERM')
  }
}
