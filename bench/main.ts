import { UserError } from '@kestrel/runtime'

/** One file and one exported function each, loaded when asked for: one bench needs nothing of another. */
const benches: Record<string, { entry: string; what: string }> = {
  training: {
    entry: 'benchTraining',
    what: 'one training step: time and peak memory, next to PyTorch where it is installed',
  },
  inference: {
    entry: 'benchInference',
    what: 'camera to label through the agent next to bare session.run, and near swaps of weights',
  },
  codec: { entry: 'benchCodec', what: 'bytes of weight updates next to their entropy' },
  labels: {
    entry: 'benchLabels',
    what: 'giving labels to programs on board: bytes a frame, share of a core',
  },
  'mavlink-fuzz': { entry: 'benchMavlinkFuzz', what: 'a million MAVLink packets, most of them bad' },
  flight: {
    entry: 'benchFlight',
    what: 'a simulated flight over a serial line or UDP, with a ground station that sends updates',
  },
  fleet: { entry: 'benchFleet', what: 'drones that one ground station serves, by policy and number' },
  'fleet-flight': {
    entry: 'benchFleetFlight',
    what: 'frame budgets of several agents beside one ground station',
  },
  review: { entry: 'benchReview', what: 'the first view of a flight of 2 GB: time and memory' },
  'flight-log': {
    entry: 'benchFlightLog',
    what: 'what a log costs the drone: share of a core, memory, bytes',
  },
  render: { entry: 'benchRender', what: 'a frame of the simulated camera on one core' },
}

function help(): string {
  const lines = Object.entries(benches).map(([name, { what }]) => `  ${name.padEnd(12)} ${what}`)
  return [
    'npm run bench -- NAME [options]',
    '',
    ...lines,
    '',
    'Each prints a table and, as its last line, JSON.',
  ].join('\n')
}

async function main([name, ...argv]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === 'help') {
    console.log(help())
    return name === undefined ? 2 : 0
  }
  if (!Object.hasOwn(benches, name)) {
    console.error(`There is no bench "${name}".\n\n${help()}`)
    return 2
  }
  try {
    const bench = await import(new URL(`./${name}.js`, import.meta.url).href)
    await bench[benches[name].entry](argv)
    return 0
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    console.error(error.message)
    return 2
  }
}

process.exit(await main(process.argv.slice(2)))
