import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildDeepLab } from '@kestrel/models'
import { aerialClasses, aerialPalette } from '@kestrel/simulator'
import t from 'tap'
import { waitFor } from '../support/processes.js'

t.setTimeout(600_000)

const root = join(import.meta.dirname, '../../..')

t.test(
  'the demo flies; each of its processes may be killed and started again by the command that it prints',
  async t => {
    const dir = mkdtempSync(join(tmpdir(), 'kestrel-demo-'))
    const student = join(dir, 'student.onnx')
    const options = {
      classes: aerialClasses,
      palette: aerialPalette,
      width: 64,
      height: 36,
      widthMultiplier: 0.25,
    }
    writeFileSync(student, buildDeepLab({ ...options, seed: 1 }))
    const json = join(dir, 'summary.json')
    const args = [
      // Long enough for a busy machine.
      '--scenario',
      'four-seasons',
      '--minutes',
      '10',
      '--headless',
      '--student',
      student,
      '--json',
      json,
      '--out',
      join(dir, 'demo'),
    ]
    const main = join(root, 'evaluate/dist/demo/main.js')
    const demo = spawn(process.execPath, [main, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const restarted: ReturnType<typeof spawn>[] = []
    let output = ''
    for (const stream of [demo.stdout, demo.stderr]) stream.on('data', chunk => (output += chunk))
    t.teardown(() => {
      demo.kill('SIGKILL')
      for (const child of restarted) child.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    const context = () => output
    const updates = () => Number([...output.matchAll(/(\d+) updates;/g)].at(-1)?.[1] ?? 0)
    const more = (what: string, count: number) =>
      waitFor(what, () => updates() >= count, { timeoutS: 240, context })

    await more('a first update', 1)
    for (const name of ['simulator', 'ground-station', 'agent']) {
      const pid = Number(new RegExp(`${name} \\(process (\\d+)\\)`).exec(output)?.[1])
      t.ok(pid > 0, `${name} is process ${pid}`)
      const before = output.length
      process.kill(pid, 'SIGKILL')
      const command = await waitFor(
        `the command that starts ${name} again`,
        () =>
          new RegExp(`${name} has ended \\(SIGKILL\\).*\\n  (node .*)\\n`).exec(output.slice(before))?.[1],
        { timeoutS: 30, context },
      )
      // As a person would type it, in the repository's folder.
      restarted.push(spawn('sh', ['-c', `exec ${command}`], { cwd: root, stdio: 'ignore' }))
      if (name !== 'simulator') await more(`updates after ${name} came back`, updates() + 1)
    }
    demo.kill('SIGINT')
    const code = await new Promise(resolve => demo.once('exit', resolve))
    t.equal(code, 130)
    const summary = JSON.parse(readFileSync(json, 'utf8'))
    t.ok(summary.updatesApplied >= 3, `${summary.updatesApplied} updates`)
    for (const key of ['miouAdapting', 'miouFrozen', 'uplinkKbps', 'downlinkKbps', 'secondsToFirstUpdate']) {
      t.ok(summary[key] > 0, `${key}: ${summary[key]}`)
    }
    t.match(output, /mIoU over the flight: [\d.]+ % with learning, [\d.]+ % without/)
  },
)
