import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readers } from '@kestrel/agent'
import { decode } from 'fast-png'
import t, { type Test } from 'tap'
import { start } from '../support/processes.js'
import { folderOf, hello, map, message, openSocket } from './label-feed.js'

t.setTimeout(300_000)

/** Offers frames until the child ends. @returns its exit code and what it said */
async function feed(readers: Readers, child: { output(): string; ended: Promise<unknown> }) {
  let ended = false
  const code = child.ended.finally(() => {
    ended = true
  })
  for (let sequence = 1; !ended; sequence++) {
    readers.offer(message(sequence))
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return { code: await code, output: child.output() }
}

function checkPicture(t: Test, file: string) {
  const picture = decode(readFileSync(file))
  t.match(picture, { width: 64, height: 40 })
  t.equal(Buffer.compare(Buffer.from(picture.data as Uint8Array), map.data), 0, 'its pixels are the labels')
  t.same(
    picture.palette?.slice(0, 3).map(colour => Array.from(colour).slice(0, 3)),
    hello.palette,
  )
}

const examples = join(import.meta.dirname, '../../../docs/examples')

t.test('the Node example reads, draws and writes a picture', async t => {
  const { path, readers } = await openSocket(t)
  const png = join(folderOf(t), 'labels.png')
  const child = start(join(examples, 'read-labels.mjs'), [path, '--frames', '3', '--png', png])
  const { code, output } = await feed(readers, child)
  const lines = output.split('\n').filter(line => line.startsWith('frame'))
  t.equal(code, 0, lines.join('\n'))
  t.same(
    lines.map(line => line.replace(/^frame \d+0,/, '')),
    new Array(3).fill(' 64x40, model version 4, 5.0 ms: land 45.0 %, water 30.0 %, sky 25.0 %'),
  )
  t.ok(output.includes('[38;2;200;220;255m'), 'the sky, in its colour')
  checkPicture(t, png)
  const nobody = start(join(examples, 'read-labels.mjs'), [`${path}.none`])
  t.equal(await nobody.ended, 1)
  t.match(nobody.output(), /ENOENT/)
  t.notMatch(nobody.output(), /\n\s+at /)
})

const python = spawnSync('python3', ['--version']).status === 0

t.test('the Python example does too', { skip: python ? false : 'python3 is absent' }, async t => {
  const { path, readers } = await openSocket(t)
  const png = join(folderOf(t), 'labels.png')
  const run = (...args: string[]) => {
    const child = spawn('python3', ['-B', join(examples, 'read_labels.py'), ...args])
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        text += chunk
      })
    }
    return { output: () => text, ended: once(child, 'close').then(([code]) => code as number) }
  }
  const { code, output } = await feed(readers, run(path, '--frames', '3', '--png', png))
  t.equal(code, 0, output)
  const line = /^frame \d+0, 64x40, model version 4, 5\.0 ms: land 45\.0 %, water 30\.0 %, sky 25\.0 %$/gm
  t.equal(output.match(line)?.length, 3, output)
  checkPicture(t, png)
  const nobody = run(`${path}.none`)
  t.equal(await nobody.ended, 1)
  t.match(nobody.output(), /No such file/)
  t.notMatch(nobody.output(), /Traceback/)
})
