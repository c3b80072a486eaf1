import { writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { encode } from 'fast-png'
import { SimCamera } from '../camera/sim-camera.js'
import { loadScenario } from '../scenario.js'
import { aerialPalette } from '../world/classes.js'
import { number } from './number.js'

/** `kestrel-sim frame`: one picture and its labels side by side. */
export function frameCommand(): Command {
  return new Command('frame')
    .description('draw what the camera sees at one moment, with its labels in colour beside it')
    .argument('<scenario>', 'name of a scenario, or its YAML file')
    .requiredOption('--at <seconds>', 'moment of the flight', number(0, 86_400))
    .requiredOption('--out <file.png>', 'the picture')
    .action((name: string, { at, out }: { at: number; out: string }) => {
      const { image, labels } = new SimCamera(loadScenario(name)).render(at)
      const { width, height } = image
      const data = new Uint8Array(2 * 3 * width * height)
      for (let y = 0; y < height; y++) {
        data.set(image.data.subarray(3 * y * width, 3 * (y + 1) * width), 6 * y * width)
        for (let x = 0; x < width; x++) {
          data.set(aerialPalette[labels.data[y * width + x]], 3 * (2 * y * width + width + x))
        }
      }
      writeFileSync(out, encode({ width: 2 * width, height, channels: 3, depth: 8, data }))
      process.stdout.write(`${out}\n`)
    })
}
