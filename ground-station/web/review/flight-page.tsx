import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { goTo, placeHash } from '../shared/route.js'
import { type FlightView, loadFlight, loadSeries, loadUpdates, type SeriesData } from './data.js'
import { EventList } from './event-list.js'
import { About, Classes, Header, Keys, Place } from './flight-parts.js'
import { Instruments } from './instruments.js'
import { useKeys } from './keys.js'
import { useLoaded, Waiting } from './loading.js'
import { Plots, type Stretch } from './plots.js'
import { type Layer, Stage, useScene } from './stage.js'
import { Timeline } from './timeline.js'
import { UpdatePanel } from './update-panel.js'

/** Points of a curve: more than a plot has pixels shows nothing more. */
const POINTS = 1200
/** Of the playback: how much faster than the flight, and between two steps, ms. */
const SPEED = 8
const STEP_MS = 150

export function FlightPage({ id, params }: { id: string; params: URLSearchParams }) {
  const { value, error } = useLoaded(() => loadFlight(id), id)
  if (value === undefined) return <Waiting error={error} what="the flight" />
  return <Flight view={value} params={params} />
}

/** What of the page stands in its address, so that a link shows the same again. */
function readPlace(view: FlightView, params: URLSearchParams) {
  const number = (key: string) => {
    const text = params.get(key)
    return text === null || !Number.isFinite(Number(text)) ? undefined : Number(text)
  }
  const clamp = (ms: number) => Math.min(view.endMs, Math.max(view.beginMs, ms))
  const second = number('t')
  const [from, to] = [number('from'), number('to')]
  const layers = (params.get('show') ?? '').split(',') as Layer[]
  return {
    atMs: second === undefined ? firstSight(view) : clamp(view.beginMs + 1000 * second),
    stretch:
      from === undefined || to === undefined || to <= from
        ? undefined
        : { fromMs: clamp(view.beginMs + 1000 * from), toMs: clamp(view.beginMs + 1000 * to) },
    layers: (layers.length === 2 ? layers : defaultLayers(view)) as [Layer, Layer],
    opacity: Math.min(1, Math.max(0, number('opacity') ?? 0.55)),
    version: number('update'),
    extra: (params.get('curves') ?? '').split(',').filter(name => view.series.some(one => one.name === name)),
  }
}

/** The middle of a flight says more than its beginning on the ground. */
function firstSight(view: FlightView): number {
  return (view.beginMs + view.endMs) / 2
}

function defaultLayers(view: FlightView): [Layer, Layer] {
  return [view.labels.student ? 'student' : 'none', view.labels.teacher ? 'teacher' : 'none']
}

function Flight({ view, params }: { view: FlightView; params: URLSearchParams }) {
  const place = readPlace(view, params)
  const { atMs, layers, opacity, version, extra } = place
  const whole = { fromMs: view.beginMs, toMs: view.endMs }
  const stretch = place.stretch ?? whole
  const latest = useRef(params)
  latest.current = params
  const put = useCallback((changes: Record<string, string | number | undefined>) => {
    const next = new URLSearchParams(latest.current)
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) next.delete(key)
      else next.set(key, String(value))
    }
    latest.current = next
    goTo(placeHash(['flight', view.id], next), { replace: true })
  }, [])
  const second = (ms: number) => Number(((ms - view.beginMs) / 1000).toFixed(3))
  const seek = (ms: number) => put({ t: second(Math.min(view.endMs, Math.max(view.beginMs, ms))) })
  const toStretch = (next: Stretch | undefined) =>
    put({ from: next && second(next.fromMs), to: next && second(next.toMs) })

  const scene = useScene(view.id, atMs)
  const series = useSeries(view, place.stretch, extra)
  const overview = useSeries(view, undefined, [])
  const updates = useLoaded(() => loadUpdates(view.id), view.id)
  const [playing, setPlaying] = useState(false)
  const now = useRef(atMs)
  now.current = atMs
  useEffect(() => {
    if (!playing) return
    const timer = setInterval(() => {
      if (now.current >= view.endMs) setPlaying(false)
      else seek(now.current + SPEED * STEP_MS)
    }, STEP_MS)
    return () => clearInterval(timer)
  }, [playing])

  const toFrame = (step: 1 | -1) => {
    const { previousMs, nextMs } = scene?.moment ?? {}
    const target = step > 0 ? nextMs : previousMs
    if (target !== undefined) seek(target)
  }
  const toEvent = (step: 1 | -1, types?: (type: string) => boolean) => {
    const times = view.eventList.filter(({ type }) => types?.(type) ?? true).map(({ timeMs }) => timeMs)
    const target = step > 0 ? times.find(ms => ms > atMs + 1) : times.findLast(ms => ms < atMs - 1)
    if (target !== undefined) seek(target)
  }
  const toUpdate = (step: 1 | -1) => {
    const list = updates.value ?? []
    const target =
      step > 0 ? list.find(one => one.timeMs > atMs + 1) : list.findLast(one => one.timeMs < atMs - 1)
    if (target !== undefined) put({ t: second(target.timeMs), update: target.version })
  }
  const zoom = (factor: number) => {
    const span = Math.min(whole.toMs - whole.fromMs, (stretch.toMs - stretch.fromMs) * factor)
    if (span >= whole.toMs - whole.fromMs) toStretch(undefined)
    else {
      const fromMs = Math.min(whole.toMs - span, Math.max(whole.fromMs, atMs - span / 2))
      toStretch({ fromMs, toMs: fromMs + span })
    }
  }
  useKeys({
    ' ': () => setPlaying(!playing),
    ArrowLeft: () => (view.frames > 0 ? toFrame(-1) : seek(atMs - 1000)),
    ArrowRight: () => (view.frames > 0 ? toFrame(1) : seek(atMs + 1000)),
    'Shift+ArrowLeft': () => seek(atMs - 10_000),
    'Shift+ArrowRight': () => seek(atMs + 10_000),
    Home: () => seek(view.beginMs),
    End: () => seek(view.endMs),
    u: () => toUpdate(1),
    'Shift+U': () => toUpdate(-1),
    e: () => toEvent(1),
    'Shift+E': () => toEvent(-1),
    '+': () => zoom(0.5),
    '-': () => zoom(2),
    '0': () => toStretch(undefined),
  })
  return (
    <div class="flight">
      <Header view={view} />
      {view.notes.map(note => (
        <p class="note warn" key={note}>
          {note}
        </p>
      ))}
      <div class="columns">
        <div class="main-column">
          {view.frames > 0 || Object.keys(view.labels).length > 0 ? (
            <Stage
              {...{ view, scene, layers, opacity }}
              onLayers={next => put({ show: next.join(',') })}
              onOpacity={next => put({ opacity: next })}
            />
          ) : null}
          <Timeline
            {...{ view, atMs, stretch, playing }}
            onSeek={seek}
            onPlay={() => setPlaying(!playing)}
            onStep={toFrame}
            onUpdate={toUpdate}
          />
          <Plots
            {...{ view, series, atMs, stretch, extra }}
            zoomed={place.stretch !== undefined}
            onSeek={seek}
            onStretch={toStretch}
            onExtra={names => put({ curves: names.length === 0 ? undefined : names.join(',') })}
          />
        </div>
        <div class="side-column">
          <Place view={view} series={overview} atMs={atMs} onSeek={seek} />
          <Instruments series={series} atMs={atMs} />
          <EventList view={view} atMs={atMs} onSeek={seek} />
          {(updates.value?.length ?? 0) > 0 ? (
            <UpdatePanel
              {...{ view, version, opacity }}
              updates={updates.value!}
              onVersion={next => put({ update: next })}
            />
          ) : null}
          <Classes view={view} stretch={place.stretch} />
          <About view={view} />
        </div>
      </div>
      <Keys />
    </div>
  )
}

/** Curves of a stretch; those of the whole flight stay until they are there. */
function useSeries(view: FlightView, stretch: Stretch | undefined, extra: string[]): Map<string, SeriesData> {
  const [series, setSeries] = useState(new Map<string, SeriesData>())
  const names = [...view.series.filter(one => one.standard === true).map(({ name }) => name), ...extra]
  const key = `${names.join()} ${stretch?.fromMs} ${stretch?.toMs}`
  useEffect(() => {
    const ending = new AbortController()
    const timer = setTimeout(
      () => {
        loadSeries(view.id, names, { ...stretch, points: POINTS, signal: ending.signal }).then(
          setSeries,
          () => {},
        )
      },
      stretch === undefined ? 0 : 120,
    )
    return () => {
      clearTimeout(timer)
      ending.abort()
    }
  }, [key])
  return series
}
