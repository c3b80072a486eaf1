import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Results } from '@kestrel/evaluate'
import { evaluateCommand } from '@kestrel/evaluate/command'
import { UserError } from '@kestrel/runtime'
import { encode } from 'fast-png'
import t from 'tap'
import { makeWorld } from './world.js'

// Some cases start a process; the machine may be busy.
t.setTimeout(300_000)

const bin = join(import.meta.dirname, '../../../ground-station/bin/kestrel-ground.js')
const dir = t.testdir()
const world = makeWorld(dir, { seconds: 4 })

interface Outcome {
  code: number
  stdout: string
  stderr: string
}

type Change = Record<string, string | undefined>

/** For the world; `change` replaces options, undefined leaves one out. */
function argumentsOf(change: Change): string[] {
  const options: Change = {
    '--video': world.frames,
    '--fps': '1',
    '--teacher': `labels:${world.labels}`,
    '--student': world.student,
    '--schemes': 'none',
    '--out': join(dir, 'out'),
    ...change,
  }
  return Object.entries(options).flatMap(([key, value]) => (value === undefined ? [] : [key, value]))
}

/** `kestrel-ground evaluate` as a process of its own. */
function run(args: string[]): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(process.execPath, [bin, 'evaluate', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

t.test('writes results, a plot and a table', async t => {
  const out = join(dir, 'some', 'where')
  const { code, stdout, stderr } = await run(argumentsOf({ '--out': out, '--seed': '7' }))
  t.equal(code, 0, stderr)
  t.match(stdout, /none\s*│/)
  t.match(stderr, /none: 100 % \(4 of 4 frames\)/)
  const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Results
  t.equal(results.seed, 7)
  t.match(results.command, /^kestrel-ground evaluate --video /)
  t.equal(results.schemes.none.series.length, 4)
  t.match(readFileSync(join(out, 'miou.svg'), 'utf8'), /^<svg/)
})

t.test('--help teaches', async t => {
  const { code, stdout } = await run(['--help'])
  t.equal(code, 0)
  for (const text of ['Examples:', 'remote-tracking', 'results.json', 'fraction=0.05', 'jit.threshold=0.8']) {
    t.ok(stdout.includes(text), text)
  }
})

/** A copy of the labels with something changed. */
function labels(name: string, change: (folder: string) => void): string {
  const folder = join(dir, name)
  mkdirSync(folder)
  for (const file of readdirSync(world.labels)) copyFileSync(join(world.labels, file), join(folder, file))
  change(folder)
  return `labels:${folder}`
}

const grey = (width: number, height: number) =>
  encode({ width, height, data: new Uint8Array(width * height), channels: 1, depth: 8 })

const garbage = join(dir, 'garbage')
writeFileSync(`${garbage}.mp4`, 'this is no video')
writeFileSync(`${garbage}.onnx`, 'this is no model')

const badInputs: Record<string, [change: Change, message: RegExp]> = {
  'a broken video': [{ '--video': `${garbage}.mp4`, '--fps': undefined }, /garbage\.mp4/],
  'a video that is not there': [{ '--video': join(dir, 'absent.mp4'), '--fps': undefined }, /absent\.mp4/],
  'a folder without a rate': [{ '--fps': undefined }, /fps/],
  'a model that is no student': [{ '--student': `${garbage}.onnx` }, /garbage\.onnx/],
  'a teacher that is none': [{ '--teacher': 'somebody' }, /"somebody".*labels:DIR/],
  'classes that the student does not have': [
    {
      '--teacher': labels('cats', f =>
        writeFileSync(join(f, 'classes.json'), '{"classes":["cat","dog","owl","fox"]}'),
      ),
    },
    /classes\.json/,
  ],
  'labels of another size': [
    {
      '--teacher': labels('small', f => {
        for (const file of readdirSync(f))
          if (file.endsWith('.png')) writeFileSync(join(f, file), grey(48, 36))
      }),
    },
    /48x36.*96x72/s,
  ],
  'one label of another size': [
    { '--teacher': labels('odd', f => writeFileSync(join(f, '0002.png'), grey(48, 36))) },
    /0002\.png/,
  ],
  'fewer labels than frames': [
    { '--teacher': labels('few', f => rmSync(join(f, '0003.png'))) },
    /no label for frame 3/,
  ],
  'more labels than frames': [
    { '--teacher': labels('many', f => copyFileSync(join(f, '0000.png'), join(f, '0004.png'))) },
    /more labels than the 4 frames/,
  ],
  'an unknown scheme': [{ '--schemes': 'none,asm' }, /did you mean "ams"/],
  'an unknown setting': [{ '--set': 'fracton=0.1' }, /did you mean "fraction"/],
  'an output folder that cannot be': [{ '--out': join(world.student, 'out') }, /folder/],
}

t.test('what a user can mend is one message, on standard error alone, and exit code 2', async t => {
  const { code, stdout, stderr } = await run(argumentsOf({ '--schemes': 'none,asm' }))
  t.equal(code, 2)
  t.match(stderr, /^\S.*did you mean "ams".*\n$/, 'one line: no stack')
  t.equal(stdout, '')
})

for (const [name, [change, message]] of Object.entries(badInputs)) {
  t.test(`${name} is one clear error`, async t => {
    const error: unknown = await evaluateCommand()
      .parseAsync(argumentsOf(change), { from: 'user' })
      .catch(reason => reason)
    t.ok(error instanceof UserError, `${error}`)
    t.match((error as UserError).message, message)
  })
}
