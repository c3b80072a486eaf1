import { useEffect, useState } from 'preact/hooks'
import { bytes, gainClass, percent, points, timeOfDay } from '../shared/format.js'
import { type Labels, paintLabels } from '../shared/labels.js'
import { Picture } from '../shared/picture.js'
import {
  type FlightView,
  loadFrame,
  loadUpdate,
  loadUpdateLabels,
  type UpdateEntry,
  type UpdateView,
} from './data.js'
import { useLoaded, Waiting } from './loading.js'

/** What an update changed: its labels on the right of a divider that can be moved, those of the version before on the left. */
export function UpdatePanel(props: {
  view: FlightView
  updates: UpdateEntry[]
  version: number | undefined
  opacity: number
  onVersion: (version: number) => void
}) {
  const { view, updates, version, opacity } = props
  const at = updates.findIndex(one => one.version === version)
  return (
    <section class="card" aria-label="Before and after an update">
      <div class="title-row">
        <h2>Before and after an update</h2>
        <select
          class="end"
          value={version ?? ''}
          onChange={event => props.onVersion(Number(event.currentTarget.value))}
          aria-label="Update"
        >
          {version === undefined ? <option value="">choose…</option> : null}
          {updates.map(one => (
            <option key={`${one.version}@${one.timeMs}`} value={one.version}>
              version {one.version}, {timeOfDay(one.timeMs)}
              {one.applied ? '' : ', refused'}
            </option>
          ))}
        </select>
        <button
          type="button"
          class="small"
          disabled={at <= 0}
          onClick={() => props.onVersion(updates[at - 1].version)}
        >
          ◂<span class="visually-hidden">Update before</span>
        </button>
        <button
          type="button"
          class="small"
          disabled={at < 0 || at >= updates.length - 1}
          onClick={() => props.onVersion(updates[at + 1].version)}
        >
          ▸<span class="visually-hidden">Next update</span>
        </button>
      </div>
      {version === undefined ? (
        <p class="empty">Choose an update to see what it changed.</p>
      ) : (
        <Compared key={version} {...{ view, version, opacity }} />
      )}
    </section>
  )
}

interface Sides {
  update: UpdateView
  frames: { before?: ImageBitmap; after?: ImageBitmap }
  labels: { before?: Labels; after?: Labels }
}

async function loadSides(view: FlightView, version: number): Promise<Sides> {
  const update = await loadUpdate(view.id, version)
  if (update.before === undefined || update.after === undefined) return { update, frames: {}, labels: {} }
  const frame = (ms: number) => (view.frames > 0 ? loadFrame(view.id, ms) : undefined)
  const [before, after, labelsBefore, labelsAfter] = await Promise.all([
    frame(update.before.frameMs),
    frame(update.after.frameMs),
    loadUpdateLabels(view.id, version, 'before'),
    loadUpdateLabels(view.id, version, 'after'),
  ])
  return { update, frames: { before, after }, labels: { before: labelsBefore, after: labelsAfter } }
}

function Compared({ view, version, opacity }: { view: FlightView; version: number; opacity: number }) {
  const { value, error } = useLoaded(() => loadSides(view, version), `${version}`)
  const [split, setSplit] = useState(50)
  if (value === undefined) return <Waiting error={error} what="the update" />
  const { update } = value
  if (update.how === 'none') {
    return (
      <p class="empty">
        {update.applied ? 'Nothing to compare.' : `Refused: ${update.reason}.`} {update.note}
      </p>
    )
  }
  const gain =
    update.before?.miou == null || update.after?.miou == null
      ? undefined
      : update.after.miou - update.before.miou
  return (
    <>
      <div class="wipe" data-split={split}>
        <Half view={view} side="before" sides={value} opacity={opacity} />
        <div class="wipe-over" style={{ clipPath: `inset(0 0 0 ${split}%)` }}>
          <Half view={view} side="after" sides={value} opacity={opacity} />
        </div>
        <div class="wipe-line" style={{ left: `${split}%` }} />
        <span class="wipe-name left">before</span>
        <span class="wipe-name right">after</span>
      </div>
      <input
        type="range"
        class="scrub"
        min="0"
        max="100"
        value={split}
        onInput={event => setSplit(Number(event.currentTarget.value))}
        aria-label="Where before ends and after begins"
      />
      <p class="small">
        {gain === undefined ? null : (
          <>
            mIoU of this frame {percent(update.before?.miou)} → <b>{percent(update.after?.miou)}</b> (
            <b class={gainClass(gain)}>{points(gain)}</b>).{' '}
          </>
        )}
        {update.applied
          ? `${bytes(update.bytes)}, flown from ${timeOfDay(update.timeMs)}.`
          : `Refused: ${update.reason}.`}{' '}
        <span class="muted">
          {update.how === 'rerun'
            ? 'Both versions labelled this frame anew, from the weights in the log.'
            : `The labels nearest in the log, of two frames. ${update.note}`}
        </span>
      </p>
    </>
  )
}

function Half(props: { view: FlightView; side: 'before' | 'after'; sides: Sides; opacity: number }) {
  const { view, side, sides, opacity } = props
  const labels = sides.labels[side]
  const [overlay, setOverlay] = useState<Parameters<typeof Picture>[0]['overlay']>()
  useEffect(
    () =>
      setOverlay(
        labels && { width: labels.width, height: labels.height, pixels: paintLabels(labels, view.palette) },
      ),
    [labels],
  )
  return (
    <Picture
      picture={sides.frames[side]}
      overlay={overlay}
      opacity={opacity}
      alt={`Labels ${side} the update`}
    />
  )
}
