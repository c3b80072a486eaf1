import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describeCameras, describeTrial, tryCamera } from '@kestrel/agent'
import { RealClock, silentLog } from '@kestrel/runtime'
import t from 'tap'
import { bins, start } from '../../support/processes.js'
import { recorded } from './devices.js'
import { FakeDevice, fakeKernel } from './fake-kernel.js'

t.setTimeout(120_000)

t.test('the list of cameras', async t => {
  const dev = t.testdir({ video0: '', video1: '' })
  const { slow } = recorded
  const locked = new FakeDevice(slow, [])
  locked.failures.set('open', 'EACCES')
  const kernel = fakeKernel({
    [join(dev, 'video0')]: new FakeDevice(slow, slow.formats),
    [join(dev, 'video1')]: locked,
  })
  t.equal(
    describeCameras(kernel, { dev })?.replaceAll(dev, '/dev'),
    `/dev/video0  Endoscope (uvcvideo, usb-1.1)
  YUYV: 1280x720 5 fps; 640x480 29.97, 15 fps
/dev/video1  cannot be asked (permission denied: put the user of the agent into the group video)`,
  )
  t.equal(describeCameras(kernel, { dev: join(dev, 'absent') }), undefined)
})

const grey = 'exec:while true; do head -c 2304 /dev/zero; sleep 0.02; done'

t.test('a camera that is looked at', async t => {
  const options = { pace: 'real-time', clock: new RealClock(), log: silentLog } as const
  const trial = await tryCamera({ source: grey, format: 'yuv420p', width: 48, height: 32, ...options }, 1)
  t.match(trial, { width: 48, height: 32, trouble: undefined })
  t.ok(trial.frames > 5 && trial.fps > 5, `${trial.frames} frames`)
  t.ok(trial.p50Ms >= 0 && trial.p99Ms >= trial.p50Ms)
  t.match(
    describeTrial(trial),
    /exec:while \(yuv420p 48x32\)\n {2}pictures {3}\d+ of 48x32, [\d.]+ a second; \d+ dropped\n/,
  )
  const none = await tryCamera({ source: 'exec:echo no sensor >&2; exit 1', format: 'mjpeg', ...options }, 1)
  t.match(none, { frames: 0, trouble: 'the command ended (exit code 1): no sensor' })
})

t.test('the command: what it prints, and its exit code', async t => {
  const run = async (...args: string[]) => {
    const running = start(bins.agent, ['cameras', ...args])
    return { code: await running.ended, output: running.output() }
  }
  const size = ['--format', 'yuv420p', '--width', '48', '--height', '32']
  t.match(await run(grey, ...size, '--seconds', '0.3'), { code: 0, output: /of 48x32/ })
  t.match(await run('/dev/video99'), {
    code: 1,
    output: /^kestrel-agent: \/dev\/video99 gave no picture \(there is no such device/,
  })
  t.match(await run('exec:true'), { code: 2, output: /needs camera\.format/ })
  t.match(await run('nowhere.mp4'), { code: 2, output: /There is no camera source nowhere\.mp4/ })
  t.match(await run('--help'), { code: 0, output: /Exit code 0: it gave pictures/ })
})

t.test('no camera at all', { skip: existsSync('/dev/video0') ? 'there is a camera' : false }, async t => {
  const running = start(bins.agent, ['cameras'])
  t.equal(await running.ended, 1)
  t.match(running.output(), /no V4L2 camera here.*\n.*lsusb[\s\S]*rpicam-hello/)
})
