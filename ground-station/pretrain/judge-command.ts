import { createLog } from '@kestrel/runtime'
import { Command } from 'commander'
import { loadRecipe } from './recipe.js'

const examples = `
Examples:
  Is the new model better than the old one, on the pictures that its recipe holds back?
    kestrel-ground judge --recipe orchard.yaml old.onnx orchard.onnx

  Footage that no model was trained on: all of it
    kestrel-ground judge --recipe others.yaml --all orchard.onnx
`

/** `kestrel-ground judge`: compares finished models on labelled pictures. */
export function judgeCommand(): Command {
  return new Command('judge')
    .description('compare models on the examples that a recipe of pretrain holds back')
    .requiredOption(
      '--recipe <file>',
      'what they are judged on: its sources, and the share that is held back',
    )
    .option('--all', 'all examples of these sources, not only those held back')
    .option('--threads <n>', 'that compute; 0: all cores', Number, 0)
    .argument('<model.onnx...>', 'the models')
    .addHelpText('after', examples)
    .action(run)
}

async function run(
  files: string[],
  options: { recipe: string; all?: boolean; threads: number },
): Promise<void> {
  const { judge, judgementTable } = await import('./judge.js')
  const log = createLog('judge', { level: 'warn' })
  const judged = await judge({ ...options, recipe: loadRecipe(options.recipe), files, log })
  process.stdout.write(`${judgementTable(judged)}\n`)
}
