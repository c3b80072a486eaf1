import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Screen } from './screen.js'

const bin = 'ground-station/bin/kestrel-ground.js'

/**
 * Ends the demo with the review of the flight just flown: says how to open it, and opens it where there is a screen to open it on, until
 * Ctrl+C.
 *
 * @param options.open somebody looks
 */
export async function offerReview(options: {
  root: string
  logs: string
  screen: Screen
  open: boolean
}): Promise<void> {
  const { root, logs, screen, open } = options
  const flights = existsSync(logs) ? readdirSync(logs) : []
  if (flights.length === 0) {
    screen.say('No flight was logged, so there is none to review.')
    return
  }
  const flight = join(logs, flights.sort()[flights.length - 1])
  screen.say(`Review the flight: node ${bin} review ${relative(process.cwd(), flight) || '.'}`)
  const hasScreen =
    process.platform === 'darwin' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
  if (!open || !hasScreen) return
  const child = spawn(process.execPath, [join(root, bin), 'review', flight, '--port', '0'], {
    stdio: 'inherit',
  })
  const pass = () => child.kill('SIGINT')
  process.on('SIGINT', pass)
  await once(child, 'exit')
  process.off('SIGINT', pass)
}
