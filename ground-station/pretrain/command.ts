import { createLog, stopSignal, UserError } from '@kestrel/runtime'
import { Command, InvalidArgumentError } from 'commander'
import { describeConfig } from '../service/describe-config.js'
import type { PretrainProgress } from './pretrain.js'
import { loadRecipe, recipeSchema } from './recipe.js'

const examples = `
Examples:
  What the small student that Kestrel ships begins from, from nothing but the simulator:
    kestrel-ground pretrain --recipe ground-station/pretrain/recipes/base-x0.5.yaml --out pretrained/base-x0.5.onnx

  Stop whenever you like with Ctrl-C, and go on later:
    kestrel-ground pretrain --recipe my.yaml --out my.onnx --resume

  A recipe for your own classes: pictures in one folder, label PNGs and classes.json in another
    name: orchard
    classes: [ground, tree, path, building]
    model: { width: 512, height: 288, widthMultiplier: 1 }
    sources:
      - { pictures: orchard/frames, teacher: labels:orchard/labels }
      - { pictures: flight.mp4, teacher: big-model.onnx, every: 15 }

What a recipe can say (docs/train-your-own-student.md tells more):
`

/** `kestrel-ground pretrain`: trains a student, or a teacher, from nothing. */
export function pretrainCommand(): Command {
  return new Command('pretrain')
    .description(
      'train a student (or a teacher) from labelled pictures, video with a teacher, and simulated flights',
    )
    .requiredOption('--recipe <file>', 'what to train on what, recipe.yaml')
    .requiredOption(
      '--out <file.onnx>',
      'the model; its card FILE.md and FILE.checkpoint are written beside it',
    )
    .option('--resume', 'go on from FILE.checkpoint, where there is one')
    .option('--minutes <n>', 'stop training after so many minutes', positive, 0)
    .option('--threads <n>', 'that compute; 0: one for each physical core', Number, 0)
    .addHelpText('after', () => `${examples}${describeConfig(recipeSchema)}`)
    .action(run)
}

async function run(options: {
  recipe: string
  out: string
  resume?: boolean
  minutes: number
  threads: number
}): Promise<void> {
  const { out } = options
  if (!/\.onnx$/i.test(out)) throw new UserError(`--out ${out}: expected FILE.onnx`)
  const recipe = loadRecipe(options.recipe)
  const command = `kestrel-ground pretrain --recipe ${options.recipe} --out ${out}`
  const log = createLog('pretrain', { level: 'warn' })
  const { pretrain } = await import('./pretrain.js')
  const judged = await pretrain({
    ...options,
    recipe,
    command,
    log,
    progress: lines(),
    signal: stopSignal(),
  })
  if (judged === undefined) {
    process.stdout.write(
      `Stopped; ${out.replace(/\.onnx$/i, '.checkpoint')} holds what was learned. Go on with --resume\n`,
    )
    process.exitCode = 130
    return
  }
  const miou =
    judged.miou === undefined ? 'nothing was held back to judge it on' : `mIoU ${judged.miou.toFixed(1)} %`
  process.stdout.write(`${out}: ${miou}; its card is ${out.replace(/\.onnx$/i, '.md')}\n`)
}

/** A line every ten seconds. */
function lines(): PretrainProgress {
  let saidMs = 0
  let beganMs: number | undefined
  let first = 0
  const say = (line: string, last: boolean) => {
    if (!last && performance.now() - saidMs < 10_000) return
    saidMs = performance.now()
    process.stderr.write(`${line}\n`)
  }
  return {
    examples: (done, total) => say(`examples: ${done}${total > 0 ? ` of ${total}` : ''}`, done === total),
    training(done, total, loss, miou) {
      if (beganMs === undefined) {
        beganMs = performance.now()
        first = done
      }
      const each = (performance.now() - beganMs) / Math.max(1, done - first)
      const judged = miou === undefined ? '' : `, mIoU ${miou.toFixed(1)} % on held-back examples`
      const left = ((total - done) * each) / 60_000
      say(
        `iteration ${done} of ${total}: loss ${loss.toFixed(3)}${judged}; ${(each / 1000).toFixed(2)} s each, ${left.toFixed(0)} min left`,
        done === total,
      )
    },
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0.')
  return value
}
