import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildDeepLab } from '@kestrel/models'
import { aerialClasses, aerialPalette } from '@kestrel/simulator'
import t from 'tap'
import { natsEnvironment, needsNats } from '../support/nats.js'
import { start, waitFor } from '../support/processes.js'

t.setTimeout(900_000)

const root = join(import.meta.dirname, '../../..')

t.test(
  'npm run cluster: a drone learns; whoever types the command it prints sees another trainer go on',
  needsNats,
  async t => {
    const dir = mkdtempSync(join(tmpdir(), 'kestrel-example-'))
    const student = join(dir, 'student.onnx')
    const size = { width: 64, height: 36, widthMultiplier: 0.25 }
    writeFileSync(student, buildDeepLab({ classes: aerialClasses, palette: aerialPalette, ...size, seed: 1 }))
    const main = join(root, 'evaluate/dist/cluster/main.js')
    const options = ['--trainers', '2', '--drones', '1', '--student', student, '--out', join(dir, 'cluster')]
    const example = start(main, options, { cwd: root, env: natsEnvironment() })
    t.teardown(async () => {
      await example.stop('SIGTERM')
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    const said = (what: string, pattern: RegExp) =>
      waitFor(what, () => pattern.exec(example.output()) ?? undefined, {
        timeoutS: 240,
        context: example.output,
      })

    // Any version: the canary may refuse the first ones of a student that knows nothing yet.
    const [, first] = await said('an update', /drone-1 flies version \d+, from (trainer-\d)/)
    const [, named, pid] = await said(
      'how to kill its trainer',
      /See (trainer-\d)'s drones move: +kill -9 (\d+)/,
    )
    t.equal(named, first)
    process.kill(Number(pid), 'SIGKILL')
    await said(
      'what ended, and how it comes back',
      new RegExp(`${first} has ended \\(SIGKILL\\).*\n +node ground-station`),
    )
    const second = first === 'trainer-1' ? 'trainer-2' : 'trainer-1'
    await said('the other trainer', new RegExp(`drone-1 is taught by ${second}`))
    await said('what the other taught', new RegExp(`drone-1 flies version \\d+, from ${second}`))
    t.equal(await example.stop('SIGTERM'), 0)
  },
)
