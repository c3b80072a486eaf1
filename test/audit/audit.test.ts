import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { readAudit } from '../support/audit.js'

t.test('a report is read for what it says', async t => {
  const of = (severity: string) => JSON.stringify({ vulnerabilities: { a: { name: 'a', severity } } })
  t.same(readAudit(of('critical')), { kind: 'known', serious: ['a (critical)'], others: 0 })
  t.same(readAudit(of('high')), { kind: 'known', serious: ['a (high)'], others: 0 })
  t.same(readAudit(of('moderate')), { kind: 'known', serious: [], others: 1 })
  t.same(readAudit(JSON.stringify({ vulnerabilities: {} })), { kind: 'known', serious: [], others: 0 })
  const refused = { message: '405 Method Not Allowed', error: { summary: '' } }
  t.same(readAudit(JSON.stringify(refused)), { kind: 'unknown', why: '405 Method Not Allowed' })
  t.equal(readAudit('').kind, 'unknown')
})

t.test('what Kestrel stands on has no serious advisory', async t => {
  const cwd = join(import.meta.dirname, '../../..')
  const output = await new Promise<string>(resolve => {
    const args = ['audit', '--omit=dev', '--json', '--fetch-retries=0', '--fetch-timeout=15000']
    execFile('npm', args, { cwd, timeout: 60_000, maxBuffer: 1e8 }, (_, stdout) => resolve(stdout))
  })
  const verdict = readAudit(output)
  if (verdict.kind === 'unknown') {
    t.pass(`the registry told nothing`, { skip: `about advisories: ${verdict.why}` })
    return
  }
  t.comment(`${verdict.others} advisories that are less than high`)
  t.same(verdict.serious, [], 'npm audit --omit=dev names them')
})
