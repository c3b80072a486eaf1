import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { groundConfigSchema, type RunningGround, startGround } from '@kestrel/ground-station'
import { readParameters } from '@kestrel/models'
import { parseConfig, silentLog } from '@kestrel/runtime'
import t from 'tap'
import { tinyStudent } from '../support/ground.js'
import { FakeDrone, until, writeGroundFiles } from '../support/ground-files.js'

const student = tinyStudent()
const bin = join(import.meta.dirname, '../../../ground-station/bin/kestrel-ground.js')

const ams = { updatePeriodS: 1, iterations: 5, batchSize: 4, fraction: 0.3, alpha: 5e-3, holdOutFraction: 0 }

function start(dir: string, port = 0): Promise<RunningGround> {
  const config = parseConfig(
    {
      listen: { port },
      student: join(dir, 'student.onnx'),
      teacher: `labels:${join(dir, 'labels')}`,
      stateDir: join(dir, 'state'),
      training: { threads: 1 },
      ams,
    },
    groundConfigSchema,
    'the test',
  )
  return startGround({ config, log: silentLog, onLost: error => t.fail(error.message) })
}

t.test(
  'broker, learner and drone: updates arrive, and go on after both sides restarted',
  { timeout: 300_000 },
  async t => {
    const dir = await writeGroundFiles('kestrel-service-')
    let ground = await start(dir)
    const port = Number(new URL(ground.brokerUrl).port)
    const drone = new FakeDrone(ground.brokerUrl, 'scout')
    t.teardown(async () => {
      await drone.close()
      await ground.stop()
    })
    await until(() => drone.controls > 0, 'control')
    for (let i = 0; i < 3; i++) {
      await drone.segment(4 * i)
      await until(() => drone.applied.length === i + 1, `update ${i + 1}`)
    }
    t.same(drone.applied, [1, 2, 3])

    await ground.stop()
    t.same(readdirSync(join(dir, 'state')).sort(), ['identity', 'scout.frames', 'scout.session'])
    ground = await start(dir, port)
    await drone.segment(12)
    await until(() => drone.applied.length === 4, 'an update after the restart')
    t.same(drone.applied, [1, 2, 3, 4], 'the chain goes on where it was')
    t.same(drone.refused, [])

    // A drone whose store was lost flies the student as shipped.
    drone.version = 0
    drone.parameters = readParameters(student)
    drone.sendStatus()
    await until(() => drone.applied.length === 5, 'a catch-up')
    t.equal(drone.applied[4], 5)

    // A ground station whose state is damaged.
    await ground.stop()
    writeFileSync(join(dir, 'state', 'scout.session'), 'rubbish')
    ground = await start(dir, port)
    await until(() => drone.applied.length === 6, 'a checkpoint')
    t.ok(drone.applied[5] > 5)
    await drone.segment(16)
    await until(() => drone.applied.length === 7, 'an update after that')
    t.same(drone.refused, [])
    await drone.close()
    await ground.stop()
  },
)

/** Runs the command line; resolves with its exit code and what it printed. */
function run(
  args: string[],
  onOutput: (output: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
) {
  return new Promise<{ code: number | null; output: string }>(resolve => {
    const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk: Buffer) => {
      output += chunk
      onOutput(output, signal => child.kill(signal))
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('close', code => resolve({ code, output }))
  })
}

t.test('kestrel-ground start: until a signal', { timeout: 120_000 }, async t => {
  const dir = await writeGroundFiles('kestrel-service-')
  const file = join(dir, 'ground.yaml')
  writeFileSync(
    file,
    'listen: { port: 0 }\nstudent: student.onnx\nteacher: labels:labels\ntraining: { threads: 1 }\n',
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    let sent = false
    const { code, output } = await run(['start', '--config', file], (text, kill) => {
      if (sent || !text.includes('drones connect to')) return
      sent = true
      kill(signal)
    })
    t.equal(code, 0, output)
    t.match(output, /Teaching .*student\.onnx \(field, sky, car\); drones connect to 127\.0\.0\.1:\d+/)
    t.match(output, /training state is saved/)
  }
})

t.test(
  'kestrel-ground start: what cannot be used is one message and exit code 2',
  { timeout: 120_000 },
  async t => {
    const dir = await writeGroundFiles('kestrel-service-')
    const fails = async (text: string, message: RegExp) => {
      const file = join(dir, 'ground.yaml')
      writeFileSync(file, text)
      const { code, output } = await run(['start', '--config', file])
      t.equal(code, 2, output)
      t.match(output, message)
      t.notMatch(output, / {4}at /, 'no stack')
    }
    await fails('student: student.onnx\nteacher: labels:labels\nuplinkKbsp: 3', /did you mean "uplinkKbps"/)
    await fails('student: none.onnx\nteacher: labels:labels', /Cannot read the model .*none\.onnx/)
    await fails(
      'student: student.onnx\nteacher: labels:nothing',
      /Cannot read the folder of labels .*nothing/,
    )
    const other = await start(dir)
    const { port } = new URL(other.brokerUrl)
    await fails(
      `student: student.onnx\nteacher: labels:labels\nlisten: { port: ${port} }`,
      /Port \d+ .* is in use/,
    )
    await fails(
      `student: student.onnx\nteacher: labels:labels\nlisten: { port: 0 }\ndashboard: { port: ${port} }`,
      /[Pp]ort \d+ .* is in use/,
    )
    await other.stop()
    const { code, output } = await run(['start', '--config', join(dir, 'absent.yaml')])
    t.equal(code, 2)
    t.match(output, /Cannot read the configuration .*absent\.yaml/)
  },
)

t.test('kestrel-ground config prints every setting', { timeout: 60_000 }, async t => {
  const { code, output } = await run(['config'])
  t.equal(code, 0)
  t.match(output, /updatePeriodS: 10 +# T_update/)
})
