import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, UserError } from '@kestrel/runtime'
import t from 'tap'
import { z } from 'zod'

const schema = z.strictObject({
  drone: z.string(),
  sampling: z.strictObject({ fps: z.number().positive().default(1) }).prefault({}),
})

function load(text: string) {
  const file = join(mkdtempSync(join(tmpdir(), 'kestrel-config-')), 'agent.yaml')
  writeFileSync(file, text)
  return loadConfig(file, schema)
}

t.test('defaults are filled in', async t => {
  t.same(load('drone: kes1'), { drone: 'kes1', sampling: { fps: 1 } })
})

t.test('an unknown key is refused with the nearest known key', async t => {
  t.throws(() => load('dron: kes1'), { message: /unknown key "dron": did you mean "drone"\?/ })
  t.throws(() => load('drone: a\nsampling: { fsp: 2 }'), {
    message: /unknown key "sampling.fsp": did you mean "fps"\?/,
  })
  t.throws(() => load('drone: a\nzzzzzzzz: 2'), { message: /known here: drone, sampling/ })
})

t.test('errors name the file, the key, what was found and what was expected', async t => {
  try {
    load('drone: a\nsampling: { fps: fast }')
    t.fail('accepted')
  } catch (error) {
    t.ok(error instanceof UserError)
    t.match((error as Error).message, /agent\.yaml.*\n.*"sampling\.fps" is "fast".*expected number/s)
  }
  t.throws(() => load('sampling: {}'), { message: /"drone" is missing/ })
  t.throws(() => load('drone: [unclosed'), { message: /not valid YAML/ })
  t.throws(() => load(''), { message: /"drone" is missing/ })
  t.throws(() => loadConfig('/nowhere/agent.yaml', schema), { message: /Cannot read the configuration/ })
})
