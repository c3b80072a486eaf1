import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UserError } from '@kestrel/runtime'
import { Command } from 'commander'
import { encode } from 'fast-png'
import { SimCamera } from '../camera/sim-camera.js'
import { frameTimeS, parseSimSource } from '../source.js'
import { aerialClasses, aerialPalette } from '../world/classes.js'
import { number } from './number.js'

/** `kestrel-sim dataset`: a flight as folders of frames and labels. */
export function datasetCommand(): Command {
  return new Command('dataset')
    .description('write frames and exact labels of a flight as folders that evaluate and pretrain read')
    .argument('<scenario>', 'name of a scenario, or its YAML file')
    .option('--fps <n>', 'frames a second', number(0.01, 60), 1)
    .option('--from <seconds>', 'begin in the middle of the flight', number(0, 86_400))
    .option('--to <seconds>', 'end before its end', number(0, 86_400))
    .option('--size <WxH>', 'of the pictures', '640x360')
    .requiredOption('--out <dir>', 'gets frames/, labels/ and labels/classes.json')
    .action(write)
}

async function write(
  name: string,
  options: { fps: number; from?: number; to?: number; size: string; out: string },
): Promise<void> {
  const { fps, from, to, size, out } = options
  const range = `${from === undefined ? '' : `&from=${from}`}${to === undefined ? '' : `&to=${to}`}`
  const source = parseSimSource(`sim:${name}?fps=${fps}&size=${size}${range}`)
  const { scenario, width, height, count } = source
  const [frames, labels] = [join(out, 'frames'), join(out, 'labels')]
  try {
    for (const folder of [frames, labels]) mkdirSync(folder, { recursive: true })
  } catch (cause) {
    throw new UserError(`Cannot make the folders in ${out}: ${messageOf(cause)}`, { cause })
  }
  const camera = new SimCamera(scenario, { width, height })
  const list = { classes: aerialClasses, palette: aerialPalette, fps }
  writeFileSync(join(labels, 'classes.json'), `${JSON.stringify(list, null, 2)}\n`)
  let saidMs = performance.now()
  for (let i = 0; i < count; i++) {
    const frame = camera.render(frameTimeS(source, i))
    const file = `${String(i).padStart(5, '0')}.png`
    writeFileSync(join(frames, file), encode({ ...frame.image, channels: 3, depth: 8 }))
    writeFileSync(join(labels, file), encode({ ...frame.labels, channels: 1, depth: 8 }))
    if (performance.now() - saidMs > 5000) {
      saidMs = performance.now()
      process.stderr.write(`${i + 1} of ${count} frames\n`)
    }
  }
  process.stdout.write(`${out}: ${count} frames of ${scenario.name}\n`)
}
