import { useEffect, useRef } from 'preact/hooks'
import { duration, timeOfDay } from '../shared/format.js'
import type { FlightView } from './data.js'
import { eventColour } from './timeline.js'

/** What happened, in order; the last event before the reader's place is marked. */
export function EventList(props: { view: FlightView; atMs: number; onSeek: (ms: number) => void }) {
  const { view, atMs } = props
  const { eventList, eventsLeftOut, beginMs, dated } = view
  const current = eventList.findLastIndex(({ timeMs }) => timeMs <= atMs + 1)
  const list = useRef<HTMLOListElement>(null)
  useEffect(() => {
    // Only the list itself scrolls, never the page.
    const row = list.current?.children[current] as HTMLElement | undefined
    if (row !== undefined && list.current !== null)
      list.current.scrollTop = row.offsetTop - list.current.clientHeight / 2
  }, [current])
  return (
    <section class="card" aria-label="Events">
      <h2>Events</h2>
      {eventList.length === 0 ? <p class="muted">Nothing was noted.</p> : null}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reachable by keyboard */}
      <ol class="events" ref={list} tabIndex={0}>
        {eventList.map((event, i) => (
          <li key={i} class={i === current ? 'current' : ''}>
            <button type="button" class="plain" onClick={() => props.onSeek(event.timeMs)}>
              <svg width="10" height="10" aria-hidden="true">
                <circle cx="5" cy="5" r="4.5" style={{ fill: `var(${eventColour(event)})` }} />
              </svg>
              <span class="when">
                {dated ? timeOfDay(event.timeMs) : duration((event.timeMs - beginMs) / 1000)}
              </span>
              <span class={event.severity === 'error' ? 'bad' : event.severity === 'warning' ? 'warn' : ''}>
                {event.text}
              </span>
            </button>
          </li>
        ))}
      </ol>
      {eventsLeftOut > 0 ? <p class="muted">{eventsLeftOut} more are not shown.</p> : null}
    </section>
  )
}
