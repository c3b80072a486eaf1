import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Frame, openNotify, Pipeline, SystemdModule, watchdogMs } from '@kestrel/agent'
import { VirtualClock } from '@kestrel/runtime'
import t from 'tap'
import { bins, start } from '../support/processes.js'
import { notifySocket } from './notify-socket.js'
import { testImage, tinySize } from './support.js'

t.test(
  'messages reach a socket in the file system and one in the abstract name space',
  { skip: process.platform !== 'linux' && 'Linux only' },
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'kestrel-notify-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    for (const name of [join(folder, 'notify'), `@kestrel-test-${process.pid}`]) {
      const receive = notifySocket(t, name)
      const notify = openNotify(name)
      notify('READY=1', 'STATUS=25 frames/s, 40 °C')
      notify('WATCHDOG=1')
      t.equal(receive(), 'READY=1\nSTATUS=25 frames/s, 40 °C', name)
      t.equal(receive(), 'WATCHDOG=1')
      t.equal(receive(), undefined)
    }
  },
)

t.test('no service manager, or one that does not listen: nothing happens, and nothing waits', async t => {
  for (const path of [undefined, '', 'relative', `/${'x'.repeat(200)}`, '/nowhere/notify']) {
    t.doesNotThrow(() => openNotify(path)('READY=1'))
  }
  const name = `@kestrel-full-${process.pid}`
  notifySocket(t, name)
  const notify = openNotify(name)
  for (let i = 0; i < 5000; i++) notify(`STATUS=${i}`)
  t.pass('a full queue does not block')
})

t.test('WatchdogSec is taken where it is meant for this process', async t => {
  t.equal(watchdogMs({ WATCHDOG_USEC: '20000000' }, 7), 20_000)
  t.equal(watchdogMs({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '7' }, 7), 20_000)
  t.equal(watchdogMs({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '8' }, 7), undefined)
  t.equal(watchdogMs({}, 7), undefined)
  t.equal(watchdogMs({ WATCHDOG_USEC: 'x' }, 7), undefined)
})

function service(options: { watchdogMs?: number } = { watchdogMs: 20_000 }) {
  const clock = new VirtualClock()
  const sent: string[][] = []
  const module = new SystemdModule({
    notify: (...messages) => void sent.push(messages),
    watchdogMs: options.watchdogMs,
    status: () => `at ${clock.nowMs() / 1000} s\nof the test`,
    clock,
  })
  return { clock, sent, module, feeds: () => sent.filter(messages => messages.includes('WATCHDOG=1')).length }
}

t.test('ready with the first frame, then fed as often as needed and no more', async t => {
  const { clock, sent, module, feeds } = service()
  module.labelled()
  t.same(sent, [['READY=1', 'WATCHDOG=1', 'STATUS=at 0 s of the test']])
  for (let frame = 1; frame <= 30 * 60; frame++) {
    await clock.advanceTo((1000 * frame) / 30)
    module.labelled()
  }
  t.equal(feeds(), 13, 'a minute at 30 frames/s: every 5 s')
  t.equal(sent.filter(messages => messages.some(message => message.startsWith('STATUS='))).length, 13)
  module.stop()
  t.same(sent.at(-1), ['STOPPING=1', 'STATUS=Stopping'])
})

t.test('a unit without a watchdog is not fed', async t => {
  const { clock, module, feeds } = service({})
  for (let second = 0; second < 60; second++) {
    await clock.advanceTo(1000 * second)
    module.labelled()
  }
  t.equal(feeds(), 0)
})

t.test('before the first frame a camera that is away extends the start, but is not ready', async t => {
  const { clock, sent, module, feeds } = service()
  for (let second = 0; second < 20; second++) {
    await clock.advanceTo(1000 * second)
    module.waiting('no camera')
  }
  t.equal(feeds(), 0)
  t.ok(sent.every(messages => messages.includes('EXTEND_TIMEOUT_USEC=30000000')))
  t.same(sent[0], ['EXTEND_TIMEOUT_USEC=30000000', 'STATUS=no camera'])
  t.notOk(sent.flat().includes('READY=1'))
})

/** The real loop, with a camera and a student that can hang, in virtual time. */
function flight() {
  const { clock, sent, module, feeds } = service()
  const camera = { trouble: undefined as string | undefined, gives: true, wake: () => {} }
  const student = { hangs: false }
  let id = 0
  const pipeline = new Pipeline({
    camera: {
      description: 'a test',
      fps: 10,
      ...tinySize,
      dropped: 0,
      async start() {},
      async stop() {},
      async next(signal): Promise<Frame | undefined> {
        do await clock.sleep(100, signal)
        while (!camera.gives && !signal?.aborted)
        return signal?.aborted
          ? undefined
          : { id: id++, captureMs: clock.nowMs(), sourceIndex: 0, image: testImage(1) }
      },
    },
    labeller: {
      label: () =>
        student.hangs
          ? new Promise(() => undefined)
          : Promise.resolve({ ...tinySize, data: new Uint8Array() }),
    },
    ...tinySize,
    clock,
    pace: 'real-time',
    onLabels: () => module.labelled(),
    onWait: () => module.waiting(camera.trouble),
  })
  void pipeline.run()
  return {
    camera,
    student,
    /** Feeds in the seconds that pass. */
    async pass(seconds: number) {
      const before = feeds()
      await clock.advanceTo(clock.nowMs() + 1000 * seconds)
      return feeds() - before
    },
    stop: () => pipeline.stop(),
    sent,
  }
}

t.test('frames feed it; a student that hangs starves it', async t => {
  const { student, pass, stop } = flight()
  t.ok((await pass(60)) >= 11)
  student.hangs = true
  await pass(5)
  t.equal(await pass(600), 0)
  void stop()
})

t.test(
  'a camera that is away by plan feeds it from the loop; one that just gives nothing starves it',
  async t => {
    const { camera, student, pass, sent, stop } = flight()
    await pass(10)
    camera.gives = false
    camera.trouble = '/dev/video0 was unplugged'
    t.ok((await pass(60)) >= 11)
    t.ok(sent.flat().includes('STATUS=/dev/video0 was unplugged'))
    camera.trouble = undefined
    await pass(5)
    t.equal(await pass(60), 0, 'it should send and does not')
    camera.gives = true
    t.ok((await pass(60)) >= 11, 'it is back')
    student.hangs = true
    await pass(1)
    camera.gives = false
    camera.trouble = '/dev/video0 was unplugged'
    t.equal(await pass(60), 0, 'a student that hangs is not excused by a camera that went away after it')
    void stop()
  },
)

t.test('the units are ones that systemd understands', async t => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
    t.pass('skipped: there is no systemd-analyze here')
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-units-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const name of ['kestrel-agent.service', 'kestrel-ground.service']) {
    const unit = readFileSync(join(import.meta.dirname, '../../../systemd', name), 'utf8')
    // A verification wants the program to exist.
    writeFileSync(join(folder, name), unit.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'))
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, name)], {
      encoding: 'utf8',
    })
    t.same(
      stderr.split('\n').filter(line => line.includes(name)),
      [],
      name,
    )
  }
})

t.test('what is to mend stands in the status, and such an end is not followed by another start', async t => {
  const name = `@kestrel-mend-${process.pid}`
  const receive = notifySocket(t, name)
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-mend-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'agent.yaml')
  writeFileSync(config, 'drone: kes1\nbrokr: mqtt://127.0.0.1\n')
  const agent = start(bins.agent, ['run', '--config', config], { env: { NOTIFY_SOCKET: name } })
  t.equal(await agent.ended, 2)
  t.match(receive(), /^STATUS=To mend: .*unknown key "brokr": did you mean "broker"/)
  t.equal(receive(), undefined)
  for (const room of ['agent', 'ground']) {
    const unit = readFileSync(join(import.meta.dirname, `../../../systemd/kestrel-${room}.service`), 'utf8')
    t.match(unit, /^Restart=always$/m, room)
    t.match(unit, /^RestartPreventExitStatus=2$/m, room)
  }
})
