import { createHash } from 'node:crypto'
import { cpus, freemem, type as osType, release, totalmem } from 'node:os'
import { createEngine, openTeacher, type TrainingEngine } from '@kestrel/ground-station'
import { readStudentFile, type Student } from '@kestrel/models'
import { type Log, silentLog, UserError } from '@kestrel/runtime'
import { isSimSource, keepDrawnFrames } from '@kestrel/simulator'
import { type FootageOptions, labelFootage, play } from './footage.js'
import { Scorer } from './metric/scorer.js'
import type { TruthStore } from './metric/truth.js'
import { type Progress, silentProgress } from './report/progress.js'
import { type Results, type SchemeResult, schemeResult } from './report/results.js'
import { chooseSchemes, type SchemeChoice } from './schemes/catalogue.js'
import type { SchemeContext } from './schemes/context.js'
import { flattenSettings, readSettings, type Settings } from './settings.js'
import { versions } from './versions.js'

/** Length of the metric's trailing window, s (AMS, section 4.1). */
const WINDOW_S = 10

/** For frames of a simulated flight: drawing them takes longer than everything else, and each scheme plays them again. */
const DRAWN_BYTES = 1.5e9

export interface EvaluateOptions {
  /** Video file, or folder of frames. */
  video: string
  /** More of them, of the same size, played after the first as one flight. */
  concat?: string[]
  /** How often the whole footage is played. */
  loop?: number
  /** Frames a second of a folder. */
  fps?: number
  /** `labels:DIR` or FILE.onnx. */
  teacher: string
  student: string
  /** Such as `none,ams,ams:random`. */
  schemes: string
  /** `key=value` each; see settings.ts. */
  set?: string[]
  seed?: number
  /** Seconds until what the ground sends takes effect. */
  delayS?: number
  /** The command line, for the record. */
  command?: string
  log?: Log
  progress?: Progress
}

/**
 * Replays a video once for each scheme on a virtual clock and scores the labels that the drone would have shown.
 * Deterministic for a seed, but for the date and the time it took.
 *
 * @throws UserError that says which input cannot be used, and why
 */
export async function evaluate(options: EvaluateOptions): Promise<Results> {
  const { seed = 1, delayS = 0, command = '', log = silentLog, progress = silentProgress } = options
  const settings = readSettings(options.set)
  const choices = chooseSchemes(options.schemes)
  const student = readStudentFile(options.student)
  const { threads } = settings.training
  const spec = options.teacher === 'labels:sim' ? `labels:${simulated(options.video)}` : options.teacher
  const teacher = await openTeacher(spec, { studentClasses: student.classes, threads, log })
  const source = footageOptions(options, log)
  const engine = sharedEngine(student, settings, log)
  let truth: TruthStore | undefined
  keepDrawnFrames(Math.min(DRAWN_BYTES, freemem() / 4))
  try {
    progress.start('labels')
    const labelled = await labelFootage(source, teacher, progress.update)
    progress.end()
    truth = labelled.truth
    const { footage } = labelled
    const base = {
      student,
      size: truth.size,
      camera: footage,
      durationS: footage.durationS,
      teacher,
      engine: engine.get,
      settings,
      seed,
      delayS,
      threads,
      log,
    }
    const schemes: Record<string, SchemeResult> = {}
    for (const choice of choices) {
      schemes[choice.name] = await replay(choice, source, truth, base, progress)
    }
    return {
      format: 1,
      command,
      date: new Date().toISOString(),
      machine: describeMachine(),
      versions: versions(),
      seed,
      delayS,
      settings: flattenSettings(settings),
      video: { source: source.sources.join(', '), ...footage },
      teacher: { source: options.teacher, labelsSha256: truth.digest(), ...truth.size },
      student: {
        source: options.student,
        sha256: createHash('sha256').update(student.bytes).digest('hex'),
        parameters: student.parameterCount,
        classes: student.classes,
      },
      metric: { windowS: WINDOW_S },
      schemes,
    }
  } finally {
    progress.end()
    keepDrawnFrames(0)
    truth?.dispose()
    await engine.dispose()
    await teacher.release()
  }
}

/** The video, where it is a simulated flight: only that one knows its own labels. */
function simulated(video: string): string {
  if (isSimSource(video)) return video
  throw new UserError(
    `labels:sim are the exact labels of a simulated flight, but the video is ${video}: expected sim:SCENARIO`,
  )
}

function footageOptions(
  { video, concat = [], loop, fps, teacher }: EvaluateOptions,
  log: Log,
): FootageOptions {
  if (concat.length > 0 && teacher.startsWith('labels:')) {
    throw new UserError(
      `--concat joins ${concat.length + 1} videos, but the labels of a folder belong to one: join the folders first, ` +
        'or let a model be the teacher',
    )
  }
  return { sources: [video, ...concat], repeat: loop, fps, log }
}

/** Plays the whole video through one scheme. */
async function replay(
  choice: SchemeChoice,
  source: FootageOptions,
  truth: TruthStore,
  base: Omit<SchemeContext, 'clock'>,
  progress: Progress,
): Promise<SchemeResult> {
  const startMs = performance.now()
  const { durationS } = base
  const { classes } = base.student
  const scorer = new Scorer(classes.length, { durationS, windowS: WINDOW_S })
  let scheme: Awaited<ReturnType<SchemeChoice['create']>> | undefined
  const total = truth.count * (source.repeat ?? 1)
  let index = 0
  progress.start(choice.name, total)
  try {
    for await (const { frame, t, clock } of play(source)) {
      if (index >= total) {
        throw new UserError(`${source.sources.join(', ')} changed while it was being evaluated`)
      }
      scheme ??= await choice.create({ ...base, clock })
      const labels = await scheme.onFrame(frame)
      scorer.add(t, truth.read(index++ % truth.count).data, labels.data)
      progress.update(index)
    }
    const stats = await scheme!.finish()
    progress.end()
    const wallS = (performance.now() - startMs) / 1000
    return schemeResult({ score: scorer.score(), stats, classes, durationS, wallS })
  } finally {
    await scheme?.dispose()
  }
}

/** One engine for all schemes, built when the first of them trains. */
function sharedEngine(student: Student, settings: Settings, log: Log) {
  let engine: Promise<TrainingEngine> | undefined
  return {
    get: () => (engine ??= createEngine(student, { ...settings.training, log })),
    dispose: async () => (await engine)?.dispose(),
  }
}

function describeMachine(): Results['machine'] {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGB: Math.round(totalmem() / 1e9),
    os: `${osType()} ${release()} ${process.arch}`,
    node: process.version,
  }
}
