import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLog, messageOf, UserError } from '@kestrel/runtime'
import { Command, InvalidArgumentError } from 'commander'
import { type EvaluateOptions, evaluate } from './evaluate.js'
import { createProgress } from './report/progress.js'
import { formatTable } from './report/table.js'
import { schemeNames } from './schemes/catalogue.js'
import { describeSettings } from './settings.js'

const examples = `
Examples:
  A benchmark whose frames and human labels lie in folders, at 1 frame a second:
    kestrel-ground evaluate --video camvid/0001TP/frames --fps 1 --teacher labels:camvid/0001TP/labels \\
      --student student-camvid11.onnx --out out/camvid

  A video, labelled by a large model; is adapting worth it here?
    kestrel-ground evaluate --video flight.mp4 --teacher teacher.onnx --student student.onnx --schemes none,ams --out out/flight

  Two short clips by turns, five times each, as one flight:
    kestrel-ground evaluate --video cliff.mp4 --concat beach.mp4 --loop 5 --teacher teacher.onnx --student student.onnx …

  Which weights should an update carry?
    kestrel-ground evaluate … --schemes ams,ams:random,ams:first-layers,ams:last-layers,ams:full --out out/strategies

  The same with 10 % of the weights a phase, no hold-out gate, and 5 s from the end of a period to new weights:
    kestrel-ground evaluate … --set fraction=0.1 holdOutFraction=0 --delay-s 5 --out out/ten-percent

Schemes:
  none             the student as it is
  one-time         all weights, fine-tuned once on the first 60 s
  remote-tracking  the teacher's labels at 1 frame/s, moved along by optical flow
  jit              Just-In-Time: train at once on single frames where the student is not good enough
  ams              Adaptive Model Streaming; ams:STRATEGY chooses the weights of an update in another way

What it writes to --out:
  results.json     per scheme mIoU (miouWindow: mean over time of the trailing 10 s; miouVideo and miouSecondHalf: of all pixels
                   at once), bytes each way as kbit/s, updates, sampling rate, IoU of each class, mIoU over time; and what is needed to repeat it
  miou.svg         mIoU over time`

/** `kestrel-ground evaluate`: a video through both sides on a virtual clock, next to the schemes of the paper. */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description(
      'replay a video through drone and ground on a virtual clock, and compare what adapting is worth',
    )
    .requiredOption(
      '--video <file|dir>',
      'a video file, a folder of frames (then --fps too), or sim:SCENARIO?fps=2',
    )
    .option('--concat <file|dir...>', 'more footage of the same size, played after it as one flight')
    .option(
      '--loop <n>',
      'play the whole footage so many times: short clips are over before learning shows',
      count,
    )
    .option('--fps <n>', 'frames a second; a video file has its own', positive)
    .requiredOption(
      '--teacher <labels:DIR|file.onnx>',
      'label PNGs with a classes.json, a large model, or labels:sim',
    )
    .requiredOption('--student <file.onnx>', 'the model that the drone flies')
    .option('--schemes <list>', 'what to compare, separated by commas', schemeNames.join(','))
    .option('--set <key=value...>', 'change a setting (list below)')
    .option('--seed <n>', 'of everything random', integer, 1)
    .option(
      '--delay-s <n>',
      'seconds until what the ground sends takes effect (training and transfer)',
      notNegative,
      0,
    )
    .requiredOption('--out <dir>', 'folder for results.json and miou.svg; made if need be')
    .addHelpText('after', () => `${examples}\n\nSettings with their defaults:\n${describeSettings()}`)
    .action(run)
}

interface CommandOptions extends EvaluateOptions {
  out: string
}

async function run({ out, ...options }: CommandOptions): Promise<void> {
  makeFolder(out)
  const results = await evaluate({
    ...options,
    command: ['kestrel-ground', ...process.argv.slice(2).map(quote)].join(' '),
    log: createLog('evaluate', { level: 'warn' }),
    progress: createProgress(),
  })
  const file = join(out, 'results.json')
  const plot = join(out, 'miou.svg')
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  // Charts take a second to load, and only a run that came to its end needs them.
  const { plotSvg } = await import('./report/plot.js')
  writeFileSync(plot, plotSvg(results))
  process.stdout.write(`${formatTable(results, { colour: process.stdout.isTTY })}\n${file}\n${plot}\n`)
}

/** Before the hours of computing, not after them. */
function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true })
  } catch (cause) {
    throw new UserError(`Cannot make the folder ${dir} for the results: ${messageOf(cause)}`, { cause })
  }
}

/** An argument as a shell would need it to be written. */
function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('expected a number above 0.')
  return value
}

function notNegative(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && Number.isFinite(value)))
    throw new InvalidArgumentError('expected a number, 0 or more.')
  return value
}

function count(text: string): number {
  const value = Number(text)
  if (!(Number.isSafeInteger(value) && value >= 1 && value <= 1000))
    throw new InvalidArgumentError('expected a whole number from 1 to 1000.')
  return value
}

function integer(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('expected a whole number.')
  return value
}
