import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CameraOptions, type Frame, openCamera } from '@kestrel/agent'
import { RealClock } from '@kestrel/runtime'
import t, { type Test } from 'tap'
import { movingScene, psnr } from '../../link/pictures.js'
import { waitFor } from '../../support/processes.js'
import { keptLog } from '../support.js'
import { jpegs } from './jpegs.js'

t.setTimeout(120_000)

const [width, height] = [48, 32]
const pictures = jpegs(4, width, height)

/** A script that stands in for rpicam-vid: `send(n)` writes picture n, `pause(ms)` waits. */
function script(t: Test, body: string): string {
  const folder = t.testdir()
  for (const [i, bytes] of pictures.entries()) writeFileSync(join(folder, `${i}.jpg`), bytes)
  const file = join(folder, 'camera.mjs')
  writeFileSync(
    file,
    `import { existsSync, readFileSync, writeFileSync } from 'node:fs'
const folder = ${JSON.stringify(folder)}
const write = bytes => new Promise(resolve => process.stdout.write(bytes, resolve))
const send = n => write(readFileSync(folder + '/' + n + '.jpg'))
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
const first = !existsSync(folder + '/ran')
writeFileSync(folder + '/ran', String(process.pid))
${body}
`,
  )
  return `${process.execPath} ${file}`
}

async function setUp(t: Test, command: string, more: Partial<CameraOptions> = {}) {
  const log = keptLog()
  const options = { format: 'mjpeg', pace: 'real-time', clock: new RealClock(), log, ...more } as const
  const camera = await openCamera({ source: `exec:${command}`, ...options })
  t.teardown(() => camera.stop())
  return { camera, log }
}

const warnings = (log: { lines: string[] }) => log.lines.filter(line => line.startsWith('warn'))

t.test('MJPEG from a command', async t => {
  const command = script(t, 'for (let i = 0; ; i = (i + 1) % 4) { await send(i); await pause(50) }')
  const { camera } = await setUp(t, command, { fps: 20 })
  const clock = new RealClock()
  await camera.start()
  t.match(camera, { width, height, fps: 20 })
  t.match(camera.description, /^exec:.*node \(mjpeg 48x32, 20 fps\)$/)
  let last: Frame | undefined
  for (let i = 0; i < 6; i++) {
    const frame = (await camera.next()) as Frame
    const likeness = pictures.map((_, n) => psnr(movingScene(n, width, height), frame.image))
    t.ok(Math.max(...likeness) > 25)
    t.ok(frame.captureMs <= clock.nowMs() && frame.captureMs > (last?.captureMs ?? 0))
    t.ok(frame.id > (last?.id ?? -1))
    last = frame
  }
})

t.test('raw pictures, each format', async t => {
  const grey = { rgb24: 3, bgr24: 3, yuyv: 2, uyvy: 2, nv12: 1.5, yuv420p: 1.5, grey: 1 }
  for (const [format, bytesPerPixel] of Object.entries(grey)) {
    // 128 in all bytes is grey in all of them; in pieces that end where no picture does.
    const body = `const bytes = Buffer.alloc(${width * height * bytesPerPixel}, 128)
for (;;) { await write(bytes.subarray(0, 1000)); await write(bytes.subarray(1000)); await pause(30) }`
    const { camera } = await setUp(t, script(t, body), { format, width, height })
    await camera.start()
    const { image } = (await camera.next()) as Frame
    t.same([image.width, image.height, image.data.length], [width, height, 3 * width * height])
    t.ok(
      image.data.every(value => Math.abs(value - 128) <= 3),
      `${format}: ${image.data.slice(0, 6)}`,
    )
    await camera.stop()
  }
})

t.test('one that dies is started again, and says why', async t => {
  const body = `if (first) { await send(0); await pause(200); console.error('sensor lost\\n'); process.exit(3) }
for (;;) { await send(1); await pause(50) }`
  const { camera, log } = await setUp(t, script(t, body))
  await camera.start()
  const seen: number[] = []
  while (!log.lines.some(line => /gives pictures/.test(line))) seen.push(((await camera.next()) as Frame).id)
  t.equal(warnings(log).length, 1)
  t.match(warnings(log)[0], /the command ended \(exit code 3\): sensor lost\. Waiting for it/)
  t.ok(seen.every((id, i) => i === 0 || id > seen[i - 1]))
})

t.test('one that stalls is ended and started again', async t => {
  const body = `await send(0)
if (first) { process.on('SIGTERM', () => {}); await pause(600_000) }
for (;;) { await send(1); await pause(50) }`
  const { camera, log } = await setUp(t, script(t, body), { stallS: 1 })
  await camera.start()
  while (!log.lines.some(line => /gives pictures/.test(line))) await camera.next()
  t.match(warnings(log), [/no picture for 1 s/])
})

t.test('rubbish among the pictures is passed over', async t => {
  const body = `for (let i = 0; ; i = (i + 1) % 4) {
  await write('--boundary\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n'); await send(i)
  await write(readFileSync(folder + '/0.jpg').subarray(0, 400)); await pause(20)
}`
  const { camera } = await setUp(t, script(t, body))
  await camera.start()
  for (let i = 0; i < 5; i++) t.equal((await camera.next())?.image.width, width)
})

t.test('stopping ends the whole pipeline and leaves no process behind', async t => {
  const command = script(t, 'for (;;) { await send(0); await pause(50) }')
  const folder = join(command.split(' ')[1], '..')
  // The shell, the camera, and what passes its pictures on.
  const { camera } = await setUp(t, `${command} | cat`)
  await camera.start()
  await camera.next()
  const pid = Number(readFileSync(join(folder, 'ran'), 'utf8'))
  t.ok(existsSync(`/proc/${pid}`))
  await camera.stop()
  await waitFor('the camera to be gone', () => (existsSync(`/proc/${pid}`) ? undefined : true), {
    timeoutS: 10,
  })
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
  t.equal(children.trim(), '', 'no zombies')
})

t.test('what cannot work is one clear error', async t => {
  const fails = async (command: string, message: RegExp, more: Partial<CameraOptions> = {}) =>
    t.rejects(
      setUp(t, command, more).then(({ camera }) => camera.start()),
      { name: 'UserError', message },
      command,
    )
  await fails('', /needs a command/)
  await fails('rpicam-vid', /needs camera\.format/, { format: undefined })
  await fails('rpicam-vid', /camera\.format is h264.*mjpeg, rgb24/, { format: 'h264' })
  await fails('rpicam-vid', /needs camera\.width and camera\.height/, { format: 'nv12' })
  await fails('rpicam-vid', /even sides; found 33x32/, { format: 'nv12', width: 33, height: 32 })
  await fails('no-such-program-anywhere -x', /cannot be run.*not found.*no-such-program-anywhere/)
  await fails('true', /live camera: its pace is real-time/, { pace: 'as-fast-as-possible' })
  const { camera, log } = await setUp(t, 'echo no cameras available >&2; exit 1')
  await camera.start()
  t.equal(camera.trouble, 'the command ended (exit code 1): no cameras available')
  t.equal(warnings(log).length, 1)
})
