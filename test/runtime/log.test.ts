import { execFileSync } from 'node:child_process'
import t from 'tap'

t.test('lines name their part, and the level filters', async t => {
  const program = `
    import { createLog } from '@kestrel/runtime'
    const log = createLog('agent', { level: 'info' })
    log.debug('hidden')
    log.info('Connected', { rate: 1 })
    log.child('camera').warn('No frames')`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  })
  const lines = output.trim().split('\n')
  t.equal(lines.length, 2)
  t.match(lines[0], /^\[?\d\d:\d\d:\d\d\]? INFO: agent: Connected \{"rate":1\}$/)
  t.match(lines[1], /WARN: agent\/camera: No frames/)
})
