import { duration, timeOfDay } from '../shared/format.js'
import type { FlightEvent, FlightView } from './data.js'

/** How kinds of events look on the time line: a colour of style.css, and in words. */
const kinds: { types: string[]; colour: string; text: string }[] = [
  { types: ['update-applied'], colour: '--good', text: 'update' },
  { types: ['update-refused', 'rolled-back'], colour: '--bad', text: 'refused or rolled back' },
  { types: ['mode', 'armed', 'disarmed'], colour: '--series-4', text: 'mode, arming' },
  { types: ['status-text'], colour: '--warn', text: 'message of the autopilot' },
]
const OTHER = { colour: '--muted', text: 'other' }

export function eventColour(event: FlightEvent): string {
  return (kinds.find(({ types }) => types.includes(event.type)) ?? OTHER).colour
}

/** The flight from end to end: markers of what happened, the stretch that plots show, and the reader's place, which can be moved. */
export function Timeline(props: {
  view: FlightView
  atMs: number
  stretch: { fromMs: number; toMs: number }
  playing: boolean
  onSeek: (ms: number) => void
  onPlay: () => void
  onStep: (step: 1 | -1) => void
  onUpdate: (step: 1 | -1) => void
}) {
  const { view, atMs, stretch, playing } = props
  const { beginMs, endMs, eventList } = view
  const share = (ms: number) => (100 * (ms - beginMs)) / Math.max(1, endMs - beginMs)
  const hasFrames = view.frames > 0
  return (
    <section class="card timeline" aria-label="Time line">
      <div class="transport">
        <button type="button" onClick={props.onPlay} aria-pressed={playing}>
          {playing ? '❚❚ Pause' : '▶ Play'}
        </button>
        <button type="button" class="small" onClick={() => props.onStep(-1)} disabled={!hasFrames}>
          ◂ Frame
        </button>
        <button type="button" class="small" onClick={() => props.onStep(1)} disabled={!hasFrames}>
          Frame ▸
        </button>
        <button type="button" class="small" onClick={() => props.onUpdate(-1)} disabled={view.updates === 0}>
          ◂ Update
        </button>
        <button type="button" class="small" onClick={() => props.onUpdate(1)} disabled={view.updates === 0}>
          Update ▸
        </button>
        <output class="now">
          {view.dated ? timeOfDay(atMs) : null}{' '}
          <span class="muted">
            {duration((atMs - beginMs) / 1000)} of {duration((endMs - beginMs) / 1000)}
          </span>
        </output>
        <ul class="legend end">
          {kinds
            .filter(({ types }) => eventList.some(({ type }) => types.includes(type)))
            .map(({ colour, text }) => (
              <li key={text}>
                <svg width="8" height="12" aria-hidden="true">
                  <rect width="3" height="12" x="2" style={{ fill: `var(${colour})` }} />
                </svg>
                {text}
              </li>
            ))}
        </ul>
      </div>
      <div class="rail">
        <svg width="100%" height="26" class="marks" aria-hidden="true">
          <rect
            class="window"
            x={`${share(stretch.fromMs)}%`}
            width={`${share(stretch.toMs) - share(stretch.fromMs)}%`}
            y="0"
            height="26"
          />
          {eventList.map((event, i) => (
            <g key={i}>
              <title>{event.text}</title>
              <line
                x1={`${share(event.timeMs)}%`}
                x2={`${share(event.timeMs)}%`}
                y1={event.type.startsWith('update') ? 2 : 9}
                y2="24"
                stroke-width="2.5"
                style={{ stroke: `var(${eventColour(event)})` }}
              />
            </g>
          ))}
        </svg>
        <input
          type="range"
          class="scrub"
          min={beginMs}
          max={endMs}
          step="any"
          value={atMs}
          onInput={event => props.onSeek(Number(event.currentTarget.value))}
          aria-label="Moment of the flight"
          aria-valuetext={`${duration((atMs - beginMs) / 1000)} into the flight`}
        />
      </div>
    </section>
  )
}
