import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configHelp, loadAgentConfig, parseAgentConfig } from '@kestrel/agent'
import { UserError } from '@kestrel/runtime'
import t from 'tap'

const least = { drone: 'kes-1', student: 'student.onnx', camera: { source: 'clip.mp4' } }

t.test('little is enough; the rest has defaults', async t => {
  t.match(parseAgentConfig(least), {
    broker: 'mqtt://127.0.0.1:1883',
    camera: { pace: 'real-time', loop: false },
    sampling: { fps: 1, minFps: 0.1, maxFps: 1 },
    uplink: { codec: 'h264', kbps: 200, periodS: 10 },
    threads: 0,
    log: { level: 'info' },
  })
})

t.test('paths are relative to the file', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'agent.yaml')
  writeFileSync(
    file,
    'drone: a\nstudent: s.onnx\nstateDir: /var/lib/kestrel\ncamera: { source: ../clip.mp4 }\n',
  )
  const config = loadAgentConfig(file)
  t.equal(config.student, join(folder, 's.onnx'))
  t.equal(config.stateDir, '/var/lib/kestrel')
  t.equal(config.camera.source, join(folder, '../clip.mp4'))
})

t.test('the example is valid and complete enough to learn from', async t => {
  const config = loadAgentConfig(join(import.meta.dirname, '../../../agent/agent.example.yaml'))
  t.match(config, { drone: 'kestrel-1', camera: { loop: true } })
})

t.test('mistakes are named', async t => {
  for (const [change, message] of [
    [{ brokr: 'x' }, /unknown key "brokr": did you mean "broker"/],
    [{ drone: 'Kes 1' }, /"drone" is "Kes 1".*lower-case/],
    [{ broker: '192.168.1.4' }, /"broker".*mqtt:\/\//],
    [{ camera: { source: 'a', pace: 'slow' } }, /"camera.pace" is "slow"/],
    [{ sampling: { minFps: 2, maxFps: 1 } }, /"sampling".*minFps/],
    [{ sampling: { fps: 5 } }, /"sampling".*fps/],
    [{ uplink: { codec: 'vp9' } }, /"uplink.codec" is "vp9"/],
    [{ threads: -1 }, /"threads" is -1/],
  ] as const) {
    t.throws(() => parseAgentConfig({ ...least, ...change }), { message }, JSON.stringify(change))
    t.throws(() => parseAgentConfig({ ...least, ...change }), UserError)
  }
})

t.test('the help names every option with its default', async t => {
  const help = configHelp()
  for (const line of [
    /^ {2}drone +\(required\) +name of this drone/m,
    /^ {2}camera\.fps +\(optional\) +frames\/s/m,
    /^ {2}camera\.pace +real-time .*\(real-time, as-fast-as-possible\)/m,
    /^ {2}uplink\.periodS +10 +seconds/m,
    /^ {2}log\.json +false/m,
  ]) {
    t.match(help, line)
  }
  for (const line of help.split('\n').slice(2)) t.match(line, /^ {2}\S+ +\S+.* {2,}\S+/, line)
})

t.test(
  'the vehicle: absent unless it is wanted, its endpoint checked, its key found beside the file',
  async t => {
    t.equal(parseAgentConfig(least).vehicle, undefined)
    const { vehicle } = parseAgentConfig({
      ...least,
      vehicle: { endpoint: 'udpin:0.0.0.0:14550', signingKey: 'keys/mavlink' },
    })
    t.match(vehicle, { attitudeHz: 20, positionHz: 10, pauseOnGround: true, camera: false })
    t.equal(vehicle?.signingKey, join(process.cwd(), 'keys/mavlink'))
    t.throws(
      () => parseAgentConfig({ ...least, vehicle: { endpoint: '/dev/ttyAMA0' } }),
      /"vehicle.endpoint" is "\/dev\/ttyAMA0".*serial:\/dev\/ttyAMA0:921600/,
    )
    t.throws(() => parseAgentConfig({ ...least, vehicle: { endpont: 'tcp:a:1' } }), /did you mean "endpoint"/)
  },
)
