import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { UserError } from '@kestrel/runtime'
import { Command, InvalidArgumentError } from 'commander'

export interface DemoOptions {
  scenario: string
  /** Where in the flight the demo begins, s. */
  from: number
  minutes: number
  /** Real footage in the place of the world. */
  video?: string
  /** Who labels what the ground station receives; the simulator's exact labels by default. */
  teacher?: string
  student?: string
  headless: boolean
  /** Where the summary goes. */
  json?: string
  /** Configurations, logs and states. */
  out: string
}

const text = `
What you see: a drone flies over a landscape that changes. On board, a small network (the student) labels every frame. Now and then a
frame goes down to the ground station, which knows its labels (from its teacher), trains a copy of the student on it, and sends the few
weights that matter back up. "Adapting" is the student with what it learned, "frozen" the same one without, both judged on the same frames.

Three processes, as in the field: kestrel-sim flies (MAVLink over UDP), kestrel-ground start and kestrel-agent run (MQTT). Nothing leaves
this machine. Kill one of them: the others go on, and the demo prints how to start it again.

Examples:
  npm run demo                                                     # from woods in autumn up into the snow
  npm run demo -- --scenario dawn-coast --minutes 6
  npm run demo -- --teacher models/teacher-aerial8.onnx            # a teacher that errs, as in life
  npm run demo -- --video flight.mp4 --teacher teacher.onnx --student student.onnx`

/** Reads the command line. @throws UserError where options do not go together */
export async function readOptions(argv: string[], root: string): Promise<DemoOptions | undefined> {
  let options: DemoOptions | undefined
  const command = new Command('npm run demo --')
    .description('the whole of Kestrel at work on this machine, without drone, camera or footage')
    .option('--scenario <name>', 'which flight (kestrel-sim scenarios lists them)', 'winter-forest')
    .option('--from <s>', 'where in that flight to begin, seconds: the take-off is over', seconds, 25)
    .option('--minutes <n>', 'how long; at most to the end of the flight', minutes, 4.5)
    .option('--video <file>', 'real footage instead of the simulated world')
    .option(
      '--teacher <file>',
      "the ground station's teacher, FILE.onnx or labels:DIR; by default the simulator tells it the exact labels",
    )
    .option('--student <file>', 'the student; the one that Kestrel ships by default')
    .option('--headless', 'a line every ten seconds instead of a live screen', false)
    .option('--json <file>', 'write the summary as JSON')
    .option('--out <dir>', 'folder for configurations, logs and states, made anew', 'out/demo')
    .addHelpText('after', text)
    .exitOverride()
    .action((given: DemoOptions) => {
      options = given
    })
  await command.parseAsync(argv, { from: 'user' })
  if (options === undefined) return undefined
  const { video, teacher } = options
  if (video !== undefined && teacher === undefined) {
    throw new UserError(
      '--video needs a --teacher (FILE.onnx or labels:DIR): somebody must label the footage',
    )
  }
  if (video !== undefined && !existsSync(video)) throw new UserError(`There is no video ${video}`)
  const student = options.student ?? resolve(root, 'models/student-aerial8-256x144.onnx')
  if (!existsSync(student)) throw new UserError(`There is no student ${student}`)
  return { ...options, student: resolve(student), out: resolve(root, options.out) }
}

function seconds(text: string): number {
  const value = Number(text)
  if (!(text.trim() !== '' && value >= 0)) throw new InvalidArgumentError('expected seconds, 0 or more.')
  return value
}

function minutes(text: string): number {
  const value = Number(text)
  if (!(value >= 0.5 && value <= 120)) throw new InvalidArgumentError('expected 0.5 to 120 minutes.')
  return value
}
