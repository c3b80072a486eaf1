import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t from 'tap'

// A process that says what it hears, and does not end of itself.
const program = `
import { stopSignal } from ${JSON.stringify(import.meta.resolve('@kestrel/runtime'))}
const stopping = stopSignal(name => console.log('first', name, stopping.aborted))
stopping.addEventListener('abort', () => console.log('stopping'))
process.on('exit', code => console.log('exit', code))
setInterval(() => {}, 1000)
console.log('ready')
`

for (const [first, second, code] of [
  ['SIGINT', 'SIGINT', 130],
  ['SIGTERM', 'SIGTERM', 143],
  ['SIGINT', 'SIGTERM', 143],
] as const) {
  t.test(`${first} asks to stop; ${second} after it ends at once, with what hangs on the exit`, async t => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    t.teardown(() => child.kill('SIGKILL'))
    const lines: string[] = []
    for await (const line of createInterface(child.stdout)) {
      lines.push(line)
      if (line === 'ready') child.kill(first)
      if (line === 'stopping') child.kill(second)
    }
    t.same(lines, ['ready', `first ${first} false`, 'stopping', `exit ${code}`])
    t.same(await ended, [code, null])
  })
}
