import type { LiveEvent, UpdateRow } from '../../dashboard/wire.js'
import { bytes, percent, points, timeOfDay } from '../shared/format.js'

const words: Record<UpdateRow['state'], { text: string; tone: string }> = {
  sent: { text: 'under way', tone: 'muted' },
  flies: { text: 'flies', tone: 'good' },
  flown: { text: 'flown', tone: '' },
  refused: { text: 'refused', tone: 'bad' },
  'rolled-back': { text: 'rolled back', tone: 'bad' },
}

/** The chain of versions, newest first. */
export function Updates({ updates }: { updates: UpdateRow[] }) {
  return (
    <section class="card updates" aria-label="Updates">
      <h2>Updates</h2>
      {updates.length === 0 ? (
        <p class="muted">
          None yet. The first is sent once a training phase made the student better on held-out frames.
        </p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <section class="scroll" tabIndex={0} aria-label="List of updates">
          <table>
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Size</th>
                <th scope="col">
                  Gain <span class="visually-hidden">in mIoU on held-out frames, points</span>
                </th>
                <th scope="col">Sent</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {updates.map(row => (
                <tr key={row.version}>
                  <td>
                    {row.version}
                    {row.baseVersion !== undefined && <span class="muted"> on {row.baseVersion}</span>}
                  </td>
                  <td title={row.weights === undefined ? undefined : `${row.weights} weights`}>
                    {bytes(row.bytes)}
                  </td>
                  <td title={row.holdOut && `${percent(row.holdOut.before)} → ${percent(row.holdOut.after)}`}>
                    {points(row.holdOut && row.holdOut.after - row.holdOut.before)}
                  </td>
                  <td>{timeOfDay(row.sentMs)}</td>
                  <td class={words[row.state].tone}>
                    {words[row.state].text}
                    {row.reason && <span class="muted">: {row.reason}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  )
}

/** What happened, newest first. */
export function Events({ events }: { events: LiveEvent[] }) {
  return (
    <section class="card" aria-label="Events">
      <h2>Events</h2>
      {events.length === 0 ? (
        <p class="muted">Nothing has happened yet.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <section class="scroll" tabIndex={0} aria-label="List of events">
          <ul class="events">
            {events.map(({ seq, timeMs, severity, text }) => (
              <li key={seq}>
                <time class="muted">{timeOfDay(timeMs)}</time>
                <span class={severity === 'error' ? 'bad' : severity === 'warning' ? 'warn' : ''}>
                  {severity !== 'info' && <span class="visually-hidden">{severity}: </span>}
                  {text}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </section>
  )
}
