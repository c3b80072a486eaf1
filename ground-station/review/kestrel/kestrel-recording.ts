import { type Flight, openFlight } from '@kestrel/flight-log'
import { defaultPalette, type LabelMap, type RgbImage } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type {
  EventType,
  FlightEntry,
  FlightEvent,
  FlightView,
  LabelSide,
  Moment,
  Scores,
  SeriesData,
  UpdateEntry,
  UpdateView,
} from '../api.js'
import type { Recording, SeriesQuery, Stretch } from '../recording.js'
import { inOrder, seriesInfo } from '../standard-series.js'
import { Clips } from './clips.js'
import { flatten } from './configuration.js'
import { labelsAt, nearestLabels } from './labels.js'
import { bestAndWorst, scoresOf } from './scores.js'
import { UpdateEffects } from './update-effects.js'

const sides: LabelSide[] = ['student', 'teacher', 'frozen']
const MAX_EVENTS = 5000
/** Highlights are no closer together, ms: as long as the window that scores a frame. */
const APART_MS = 20_000

/** A flight of Kestrel: both sides' logs together. Reads by indexes; in memory are those and what was looked at last. */
export class KestrelRecording implements Recording {
  readonly #flight: Flight
  readonly #clips: Clips
  readonly #updates: UpdateEffects

  private constructor(flight: Flight, students: string[]) {
    this.#flight = flight
    this.#clips = new Clips(flight)
    this.#updates = new UpdateEffects({ flight, clips: this.#clips, students })
  }

  /**
   * @param target a flight's folder, or files of one flight
   * @param options.students files in which the flight's student may be found, to run it again
   * @throws UserError where there is no log of Kestrel, or nothing in it
   */
  static async open(
    target: string | string[],
    options: { students?: string[] } = {},
  ): Promise<KestrelRecording> {
    const flight = await openFlight(target)
    const recording = new KestrelRecording(flight, options.students ?? [])
    const where = Array.isArray(target) ? target[0] : target
    try {
      if (flight.info === undefined) {
        const topics = [...flight.channels.keys()].slice(0, 3).join(', ')
        throw new UserError(
          `${where} is an MCAP file, but no flight log of Kestrel (its topics: ${topics || 'none'}): open it with Foxglove or Lichtblick`,
        )
      }
      if (flight.timeRange === undefined) throw new UserError(`${where} holds no whole message`)
    } catch (error) {
      await flight.close()
      throw error
    }
    return recording
  }

  /** For what only this kind of log can give. */
  get flight(): Flight {
    return this.#flight
  }

  get stretch(): Stretch {
    return this.#flight.timeRange!
  }

  /** The flight as a list shows it: from summaries alone. */
  entry(): FlightEntry {
    const flight = this.#flight
    const info = flight.info!
    const { fromMs, toMs } = this.stretch
    const { summaries, files } = flight
    const sum = (of: (summary: (typeof summaries)[number]) => number, side?: 'drone' | 'ground') =>
      summaries.filter(one => side === undefined || one.side === side).reduce((all, one) => all + of(one), 0)
    const either = (of: (summary: (typeof summaries)[number]) => number) =>
      sum(of, 'drone') || sum(of, 'ground')
    const place = summaries.find(one => one.place !== undefined)?.place
    return {
      id: info.id,
      kind: 'kestrel',
      drone: info.drone,
      beginMs: fromMs,
      endMs: toMs,
      dated: true,
      ...(place && { place: { latitudeDeg: place.latitude, longitudeDeg: place.longitude } }),
      bytes: files.reduce((all, { bytes }) => all + bytes, 0),
      complete: files.every(({ complete }) => complete),
      updates: either(one => one.updatesApplied),
      refused: either(one => one.updatesRefused),
      events: sum(one => one.events),
      ...miouOfFlight(summaries),
    }
  }

  async view(): Promise<FlightView> {
    const flight = this.#flight
    const info = flight.info!
    const { channels } = flight
    const count = (topic: string) => channels.get(topic)?.count ?? 0
    const events = (await flight.events()).map(
      (event): FlightEvent => ({
        timeMs: event.timeMs,
        type: event.type as EventType,
        severity: event.severity,
        text: event.text,
        ...versionIn(event.text),
      }),
    )
    const track = await flight.track()
    const labels = sides.filter(side => count(`/labels/${side}`) > 0)
    return {
      ...this.entry(),
      events: events.length,
      series: inOrder(flight.seriesNames.map(seriesInfo)),
      track: {
        timesMs: track.map(([ms]) => ms),
        latitudeDeg: track.map(([, latitude]) => latitude),
        longitudeDeg: track.map(([, , longitude]) => longitude),
        altitudeM: track.map(([, , , altitude]) => (Number.isFinite(altitude) ? altitude : null)),
      },
      eventList: once(events).slice(0, MAX_EVENTS),
      eventsLeftOut: Math.max(0, events.length - MAX_EVENTS),
      frames: count('/camera/sampled'),
      labels: Object.fromEntries(labels.map(side => [side, count(`/labels/${side}`)])),
      classes: info.classes,
      palette: info.palette.length > 0 ? info.palette : defaultPalette(info.classes.length),
      software: info.software,
      student: info.student,
      configuration: flatten(info.configuration),
      parameters: {},
      notes: this.#notes(),
    }
  }

  async series({ names, fromMs, toMs, maxPoints }: SeriesQuery): Promise<SeriesData[]> {
    const known = new Set(this.#flight.seriesNames)
    const unknown = names.find(name => !known.has(name))
    if (unknown !== undefined) {
      throw new UserError(`The flight has no series "${unknown}"; it has ${[...known].join(', ')}`)
    }
    const found = await this.#flight.series(names, { fromMs, toMs, maxPoints })
    return found.map(({ name, timesMs, values, min, max }) => ({
      name,
      timesMs,
      values,
      ...(min && max && { min, max }),
      exact: values.every((value, i) => min?.[i] === value && max?.[i] === value),
    }))
  }

  async moment(atMs: number): Promise<Moment> {
    const frameMs = await this.#clips.timeAt(atMs)
    const labels: Moment['labels'] = {}
    for (const side of sides) {
      const near = await nearestLabels(this.#flight, side, frameMs ?? atMs)
      if (near !== undefined) labels[side] = near
    }
    if (frameMs === undefined) return { labels }
    return {
      frameMs,
      previousMs: await this.#clips.neighbour(frameMs, -1),
      nextMs: await this.#clips.neighbour(frameMs, 1),
      labels,
    }
  }

  frame(captureMs: number): Promise<RgbImage | undefined> {
    return this.#clips.frame(captureMs)
  }

  labels(side: LabelSide, captureMs: number): Promise<LabelMap | undefined> {
    return labelsAt(this.#flight, side, captureMs)
  }

  highlights(count: number) {
    return bestAndWorst(this.#flight, { count, apartMs: APART_MS })
  }

  scores(stretch?: Stretch): Promise<Scores | undefined> {
    return scoresOf(this.#flight, this.#flight.info!.classes, this.stretch, stretch)
  }

  updates(): Promise<UpdateEntry[]> {
    return this.#updates.entries()
  }

  async update(version: number): Promise<UpdateView | undefined> {
    return (await this.#updates.of(version))?.view
  }

  async updateLabels(version: number, side: 'before' | 'after'): Promise<LabelMap | undefined> {
    return (await this.#updates.of(version))?.labels?.[side]
  }

  async close(): Promise<void> {
    await this.#flight.close()
  }

  #notes(): string[] {
    const notes: string[] = []
    const cut = this.#flight.files.filter(({ complete }) => !complete)
    if (cut.length > 0) {
      notes.push(
        cut.length === 1
          ? 'One of the files has no end: the power went, or the flight goes on. What was written can be seen.'
          : `${cut.length} of the files have no end: the power went, or the flight goes on. What was written can be seen.`,
      )
    }
    const lost = this.#flight.summaries.reduce((sum, one) => sum + one.lost, 0)
    if (lost > 0) notes.push(`${lost} messages could not be written to the log.`)
    return notes
  }
}

/** The ground's figures where it scored; files in which nothing was scored say nothing. */
function miouOfFlight(summaries: Flight['summaries']): Pick<FlightEntry, 'miou'> {
  const scored = summaries.filter(
    ({ adapting, frozen, scoredFrames }) =>
      adapting !== undefined && frozen !== undefined && scoredFrames > 0,
  )
  const frames = scored.reduce((sum, { scoredFrames }) => sum + scoredFrames, 0)
  if (frames === 0) return {}
  const mean = (of: 'adapting' | 'frozen') =>
    scored.reduce((sum, one) => sum + one.scoredFrames * one[of]!, 0) / frames
  return { miou: { adapting: mean('adapting'), frozen: mean('frozen') } }
}

/** Both sides tell of the same things, seconds apart at most. */
function once(events: FlightEvent[]): FlightEvent[] {
  const kept: FlightEvent[] = []
  for (const event of events) {
    const repeated = kept
      .slice(-20)
      .some(
        other =>
          other.type === event.type &&
          event.timeMs - other.timeMs < 3000 &&
          (other.text === event.text ||
            (event.type !== 'status-text' && event.version !== undefined && other.version === event.version)),
      )
    if (!repeated) kept.push(event)
  }
  return kept
}

function versionIn(text: string): { version?: number } {
  const found = /\bversion (\d+)/i.exec(text)
  return found === null ? {} : { version: Number(found[1]) }
}
