import { FlightLog } from '@kestrel/flight-log'
import { RealClock, silentLog } from '@kestrel/runtime'
import { testInfo } from './support.js'

// A process that logs as fast as a flight does, and says on its standard output what it has logged, until it is killed.

const [dir, seed] = process.argv.slice(2)
const clock = new RealClock()
const log = new FlightLog({ dir, info: testInfo(clock, 'drone', seed), clock, log: silentLog })
log.start()
process.stdout.write(`${log.folder}\n`)
const picture = new Uint8Array(20_000).fill(7)
for (let i = 0; ; i++) {
  // Said before it is logged: what is said has been handed over at that time at the latest.
  process.stdout.write(`${i} ${clock.nowMs()}\n`)
  log.telemetry({ timeUs: BigInt(i), modelVersion: i, fps: 30 })
  if (i % 10 === 0) log.envelope('segment', picture)
  await new Promise(resolve => setTimeout(resolve, 8))
}
