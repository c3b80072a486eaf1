import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  describeConfig,
  groundConfigSchema,
  loadGroundConfig,
  parseSettings,
  sessionOptions,
} from '@kestrel/ground-station'
import { UserError } from '@kestrel/runtime'
import t from 'tap'
import { parseDocument } from 'yaml'

t.test("the defaults are the paper's, but for twice its learning rate", async t => {
  t.match(sessionOptions(), {
    updatePeriodS: 10,
    horizonS: 240,
    iterations: 20,
    batchSize: 8,
    fraction: 0.05,
    alpha: 2e-3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    strategy: 'gradient-guided',
    asr: { enabled: true, minFps: 0.1, maxFps: 1 },
  })
})

t.test('settings from the command line', async t => {
  const options = parseSettings(
    ['fraction=0.1', 'asr.enabled=false', 'maxFps=2', 'strategy=full', 'seed=abc'],
    {
      iterations: 5,
      asr: { minFps: 0.5 },
    },
  )
  t.match(options, {
    fraction: 0.1,
    iterations: 5,
    strategy: 'full',
    seed: 'abc',
    asr: { enabled: false, minFps: 0.5, maxFps: 2, step: 0.2 },
  })
})

t.test('settings that cannot be used', async t => {
  const fails = (setting: string, message: RegExp) => {
    try {
      parseSettings([setting])
      t.fail(`${setting} was accepted`)
    } catch (error) {
      t.ok(error instanceof UserError)
      t.match((error as Error).message, message)
    }
  }
  fails('fractoin=0.1', /unknown key "fractoin": did you mean "fraction"/)
  fails('asr.enabeld=true', /unknown key "asr.enabeld": did you mean "enabled"/)
  fails('fraction', /expected key=value/)
  fails('enabled=false', /asr.enabled or atr.enabled/)
  fails('fraction=2', /"fraction" is 2/)
  fails('iterations=lots', /"iterations" is "lots"/)
  fails('strategy=best', /"strategy" is "best".*gradient-guided/)
})

t.test('ground.yaml: paths count from the file, typos are named', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-ground-'))
  const load = (text: string) => {
    writeFileSync(join(dir, 'ground.yaml'), text)
    return loadGroundConfig(join(dir, 'ground.yaml'))
  }
  const config = load('student: s.onnx\nteacher: labels:truth\nams: { fraction: 0.1 }')
  t.match(config, {
    student: join(dir, 's.onnx'),
    teacher: `labels:${join(dir, 'truth')}`,
    stateDir: join(dir, 'state'),
    listen: { host: '127.0.0.1', port: 1883 },
    ams: { fraction: 0.1, batchSize: 8 },
  })
  t.equal(load('student: /a/s.onnx\nteacher: t.onnx').teacher, join(dir, 't.onnx'))
  t.throws(() => load('student: a\nteacher: b\nams: { batchsize: 4 }'), {
    message: /did you mean "batchSize"/,
  })
  t.throws(() => load('student: a\nteacher: b\nbroker: 192.168.1.10'), { message: /mqtt:\/\/192/ })
  t.throws(() => load('teacher: b'), { message: /"student" is missing/ })
})

t.test('the help has every setting, and is itself a configuration', async t => {
  const help = describeConfig(groundConfigSchema)
  for (const key of ['updatePeriodS', 'asr', 'minFps', 'provider', 'uplinkKbps', 'stateDir']) {
    t.match(help, new RegExp(`\\b${key}:.*# \\S`))
  }
  const { ams, listen } = parseDocument(help).toJS()
  t.equal(ams.iterations, 20)
  t.equal(listen.port, 1883)
})
