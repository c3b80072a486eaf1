import { writeFileSync } from 'node:fs'
import { MovieWriter, Scaler } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { FlightView, SeriesData } from '../api.js'
import { frameTimes } from '../frames.js'
import { beside, withLabels } from '../overlay.js'
import type { Recording } from '../recording.js'

/** How much faster than the flight the film runs: frames are sampled about once a second. */
const SPEED = 5
const TITLE_SERIES = ['miouAdapting', 'miouFrozen', 'modelVersion', 'heightM', 'speedMps']

/** A film of the sampled frames: the student's labels on the left, the teacher's on the right; subtitles (.srt) beside it tell the rest. */
export async function writeMovie(recording: Recording, out: string): Promise<string[]> {
  const view = await recording.view()
  if (view.frames === 0) throw new UserError(`${view.id} has no frames: there is nothing to film`)
  const titles = await Titles.load(recording, view)
  const scaler = new Scaler()
  let movie: MovieWriter | undefined
  let size = { width: 0, height: 0 }
  let count = 0
  let damaged = 0
  let firstMs = 0
  const lines: { atMs: number; text: string }[] = []
  try {
    for await (const ms of frameTimes(recording)) {
      const image = await recording.frame(ms).catch(() => undefined)
      if (image === undefined) {
        damaged += 1
        continue
      }
      const picture = await compose(recording, view, image, ms)
      if (movie === undefined) {
        size = { width: picture.width & ~1, height: picture.height & ~1 }
        movie = await MovieWriter.open(out, size)
        firstMs = ms
      }
      const atMs = (ms - firstMs) / SPEED
      await movie.add(scaler.scale(picture, size.width, size.height), atMs)
      lines.push({ atMs, text: titles.at(ms) })
      count += 1
    }
    if (movie === undefined) throw new UserError(`${view.id}: not one of its frames can be decoded`)
    await movie.finish()
  } catch (error) {
    movie?.discard()
    throw error
  } finally {
    scaler.dispose()
  }
  const subtitles = `${out.replace(/\.mp4$/i, '')}.srt`
  writeFileSync(subtitles, srt(lines))
  return [
    `${out}: ${count} frames, ${SPEED} times as fast as they were flown; student left, teacher right${damaged > 0 ? `; ${damaged} damaged frames left out` : ''}`,
    `${subtitles}: subtitles`,
  ]
}

async function compose(
  recording: Recording,
  view: FlightView,
  image: RgbImage,
  ms: number,
): Promise<RgbImage> {
  const { labels } = await recording.moment(ms)
  const panes: RgbImage[] = []
  for (const side of ['student', 'teacher'] as const) {
    const at = labels[side]
    const map = at === undefined ? undefined : await recording.labels(side, at)
    panes.push(withLabels(image, map, view.palette))
  }
  return beside(panes)
}

class Titles {
  readonly #view: FlightView
  readonly #series: Map<string, SeriesData>

  private constructor(view: FlightView, series: Map<string, SeriesData>) {
    this.#view = view
    this.#series = series
  }

  static async load(recording: Recording, view: FlightView): Promise<Titles> {
    const names = TITLE_SERIES.filter(name => view.series.some(one => one.name === name))
    const series = names.length === 0 ? [] : await recording.series({ names, maxPoints: 5000 })
    return new Titles(view, new Map(series.map(one => [one.name, one])))
  }

  at(ms: number): string {
    const value = (name: string, digits: number, before: string, after: string) => {
      const series = this.#series.get(name)
      const index = series?.timesMs.findLastIndex(time => time <= ms) ?? -1
      return index < 0 ? '' : `${before}${series!.values[index].toFixed(digits)}${after}`
    }
    const mode =
      this.#view.eventList.findLast(event => event.type === 'mode' && event.timeMs <= ms)?.text ?? ''
    const first = [
      new Date(ms).toISOString().slice(11, 19),
      value('miouAdapting', 1, 'mIoU ', ' %'),
      value('miouFrozen', 1, 'frozen ', ' %'),
      value('modelVersion', 0, 'version ', ''),
    ]
    const second = [mode, value('heightM', 0, '', ' m'), value('speedMps', 1, '', ' m/s')]
    return [first, second]
      .map(parts => parts.filter(part => part !== '').join(', '))
      .filter(line => line !== '')
      .join('\n')
  }
}

/** SubRip: what every player reads. */
function srt(lines: { atMs: number; text: string }[]): string {
  const time = (ms: number) =>
    new Date(Math.max(0, Math.round(ms))).toISOString().slice(11, 23).replace('.', ',')
  return lines
    .map(({ atMs, text }, i) => {
      const end = lines[i + 1]?.atMs ?? atMs + 1000
      return `${i + 1}\n${time(atMs)} --> ${time(end)}\n${text}\n`
    })
    .join('\n')
}
