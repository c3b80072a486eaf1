import type { Flight } from '@kestrel/flight-log'
import { ConfusionMatrix, type LabelMap, resizeLabels } from '@kestrel/models'
import { messageOf } from '@kestrel/runtime'
import type { UpdateEntry, UpdateSide, UpdateView } from '../api.js'
import type { Clips } from './clips.js'
import { labelsAt, NEAR_MS } from './labels.js'
import { findStudent, rerun } from './rerun.js'
import { chainTo, updateEntries } from './updates.js'

/** Pairs of label maps that were made for updates and are kept. */
const MAX_RERUNS = 16

type Pair = { before: LabelMap; after: LabelMap }

/** What the updates of a flight changed on one of its frames: both versions run again where the student is here, else what was logged. */
export class UpdateEffects {
  readonly #flight: Flight
  readonly #clips: Clips
  readonly #students: string[]
  readonly #reruns = new Map<number, Promise<{ view: UpdateView; labels?: Pair }>>()
  #entries: Promise<UpdateEntry[]> | undefined

  /** @param options.students files in which the flight's student may be found, to run it again */
  constructor(options: { flight: Flight; clips: Clips; students: string[] }) {
    this.#flight = options.flight
    this.#clips = options.clips
    this.#students = options.students
  }

  entries(): Promise<UpdateEntry[]> {
    this.#entries ??= updateEntries(this.#flight)
    return this.#entries
  }

  /** What it changed; undefined where the flight has no such update. */
  async of(version: number): Promise<{ view: UpdateView; labels?: Pair } | undefined> {
    const entry = (await this.entries()).find(one => one.version === version)
    if (entry === undefined) return undefined
    let made = this.#reruns.get(version)
    if (made === undefined) {
      made = this.#make(entry)
      this.#reruns.set(version, made)
      if (this.#reruns.size > MAX_RERUNS) this.#reruns.delete([...this.#reruns.keys()][0])
    }
    return made
  }

  async #make(entry: UpdateEntry): Promise<{ view: UpdateView; labels?: Pair }> {
    try {
      return await this.#runAgain(entry)
    } catch (error) {
      return this.#asLogged(entry, messageOf(error))
    }
  }

  /** Both versions on the first frame that the update flew over and the teacher has labelled. */
  async #runAgain(entry: UpdateEntry): Promise<{ view: UpdateView; labels: Pair }> {
    const student = findStudent(this.#flight.info!.student, this.#students)
    if (student === undefined)
      throw new Error(`the student ${this.#flight.info!.student || '(not named)'} is not on this machine`)
    const updates = await chainTo(this.#flight, entry.version)
    if (updates === undefined) throw new Error('the log lacks some of the updates that lead to it')
    const frameMs = await this.#frameOf(entry)
    const image = frameMs === undefined ? undefined : await this.#clips.frame(frameMs)
    if (frameMs === undefined || image === undefined) throw new Error('the log has no frame of that time')
    const labels = await rerun({ student, updates, image })
    const truth = await labelsAt(this.#flight, 'teacher', frameMs)
    const side = (map: LabelMap): UpdateSide => ({ frameMs, miou: agreement(truth, map, this.#classes) })
    return {
      view: { ...entry, how: 'rerun', note: '', before: side(labels.before), after: side(labels.after) },
      labels,
    }
  }

  async #frameOf({ timeMs }: UpdateEntry): Promise<number | undefined> {
    const range = { fromMs: timeMs, toMs: timeMs + NEAR_MS, limit: 1 }
    for await (const labelled of this.#flight.messages('/labels/teacher', range)) return labelled.timeMs
    return this.#clips.timeAt(timeMs)
  }

  /** The student's labels of the last frame before the update and of the first one after it. */
  async #asLogged(entry: UpdateEntry, why: string): Promise<{ view: UpdateView; labels?: Pair }> {
    const note = `The student could not be run again: ${why}.`
    const none = { view: { ...entry, how: 'none' as const, note } }
    const before = await this.#flight.latest('/labels/student', entry.timeMs, NEAR_MS)
    let afterMs: number | undefined
    const range = { fromMs: entry.timeMs + 0.001, toMs: entry.timeMs + NEAR_MS, limit: 1 }
    for await (const { timeMs } of this.#flight.messages('/labels/student', range)) afterMs = timeMs
    if (before === undefined || afterMs === undefined) return none
    const labels = {
      before: await labelsAt(this.#flight, 'student', before.timeMs),
      after: await labelsAt(this.#flight, 'student', afterMs),
    }
    if (labels.before === undefined || labels.after === undefined) return none
    const side = async (map: LabelMap, atMs: number): Promise<UpdateSide> => ({
      frameMs: (await this.#clips.timeAt(atMs)) ?? atMs,
      miou: agreement(await labelsAt(this.#flight, 'teacher', atMs), map, this.#classes),
    })
    return {
      view: {
        ...entry,
        how: 'logged',
        note,
        before: await side(labels.before, before.timeMs),
        after: await side(labels.after, afterMs),
      },
      labels: labels as Pair,
    }
  }

  get #classes(): number {
    return this.#flight.info!.classes.length
  }
}

/** mIoU 0..1 of labels against the teacher's, at the teacher's size; null where there are none. */
function agreement(truth: LabelMap | undefined, map: LabelMap, classes: number): number | null {
  if (truth === undefined) return null
  const matrix = new ConfusionMatrix(classes)
  matrix.add(truth, resizeLabels(map, truth.width, truth.height))
  return matrix.miou() ?? null
}
