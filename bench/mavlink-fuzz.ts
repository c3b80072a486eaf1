import { parseArgs } from 'node:util'
import { Vehicle } from '@kestrel/agent'
import { type Exchange, type Line, Signing } from '@kestrel/link/mavlink'
import { RealClock, silentLog } from '@kestrel/runtime'
import { HostileLine } from '@kestrel/simulator'

const USAGE = `npm run bench -- mavlink-fuzz [options]

  --packets N   (default 1000000)
  --seed N      (default 1)

Random bytes, truncated frames, wrong checksums, missing, wrong and replayed signatures, any content, and good packets among
them, to a vehicle link with a signing key. Fails where one good packet is lost or one bad one is taken.`

/** A million packets of which most are bad. */
export async function benchMavlinkFuzz(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      packets: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const packets = Number(values.packets)
  const clock = new RealClock()
  const key = Buffer.alloc(32, 'k')
  const signing = new Signing({ key, linkId: 2, clock, store: { load: () => undefined, save() {} } })
  const { vehicle, hear } = await listen(signing)
  const hostile = new HostileLine({ key, clock, seed: values.seed })
  // What is kept of the first tenth, such as compiled code and the track, is no leak.
  let startMB = 0
  const beganMs = performance.now()
  for (let i = 0; i < packets; i++) {
    hear(hostile.next().bytes)
    if (i % 5000 === 0) await new Promise(resolve => setImmediate(resolve))
    if (i === Math.floor(packets / 10)) startMB = memoryMB()
  }
  hear(Buffer.alloc(300))
  const seconds = (performance.now() - beganMs) / 1000
  const { counts } = hostile
  const expected = counts.valid + counts['any content']
  const result = {
    bench: 'mavlink-fuzz',
    packets,
    counts,
    taken: vehicle.counts.messages,
    expected,
    failed: vehicle.counts.failed,
    refused: signing.refused,
    packetsPerS: Math.round(packets / seconds),
    grownMB: Math.round(memoryMB() - startMB),
  }
  await vehicle.stop()
  console.log(`${packets} packets in ${seconds.toFixed(1)} s: ${result.taken} taken of ${expected} good ones`)
  console.log(`memory grew by ${result.grownMB} MB after the first tenth`)
  console.log(JSON.stringify(result))
  if (result.taken !== expected || result.failed > 0)
    throw new Error('good packets were lost, or bad ones taken')
}

async function listen(signing: Signing) {
  let exchange: Exchange | undefined
  const line: Line = { write() {} }
  const transport = {
    start: async (own: Exchange) => {
      exchange = own
      own.opened(line, 'fuzz')
    },
    stop: async () => {},
  }
  const kept = { learning: true, limits: { minFps: 0.1, maxFps: 1 }, pause: true }
  const vehicle = new Vehicle({
    transport,
    signing,
    system: 1,
    rates: new Map([[30, 20]]),
    controls: {
      learning: { get: () => kept.learning, set: on => void (kept.learning = on) },
      samplingLimits: { get: () => kept.limits, set: limits => void (kept.limits = limits) },
      pauseOnGround: { get: () => kept.pause, set: on => void (kept.pause = on) },
    },
    reportMs: 1000,
    clock: new RealClock(),
    log: silentLog,
  })
  await vehicle.start()
  return { vehicle, hear: (bytes: Uint8Array) => exchange?.received(line, bytes) }
}

function memoryMB(): number {
  global.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1e6
}
