import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Hello, ViewInfo } from '../../dashboard/wire.js'
import { duration, percent, timeOfDay } from '../shared/format.js'
import {
  agreement,
  type Colour,
  fetchLabels,
  IGNORE,
  type Labels,
  paintDifference,
  paintLabels,
} from '../shared/labels.js'
import { loadPicture, type Overlay, Picture } from '../shared/picture.js'

const WRONG: Colour = [255, 45, 85]

interface Loaded {
  info: ViewInfo
  picture: ImageBitmap
  teacher: Labels
  student: Labels
  frozen: Labels
}

/** The last frame that the ground has labelled: with the student's labels, the teacher's, and where they differ. */
export function Views(props: { drone: string; info: ViewInfo | undefined; hello: Hello; nowMs: number }) {
  const { drone, info, hello } = props
  const [which, setWhich] = useState<'student' | 'frozen'>('student')
  const [opacity, setOpacity] = useState(55)
  const { loaded, failure } = useView(drone, info)
  const overlays = useMemo(() => {
    if (loaded === undefined) return undefined
    const found = loaded[which]
    const over = (pixels: Overlay['pixels']): Overlay => ({
      width: found.width,
      height: found.height,
      pixels,
    })
    return {
      found: over(paintLabels(found, hello.palette)),
      teacher: over(paintLabels(loaded.teacher, hello.palette)),
      difference: over(paintDifference(loaded.teacher, found, WRONG)),
      same: agreement(loaded.teacher, found),
      shares: shares(loaded.teacher, hello.classes.length),
    }
  }, [loaded, which, hello])
  if (loaded === undefined || overlays === undefined) {
    return (
      <section class="card" aria-label="Last frame">
        <p class="empty">
          {failure ??
            (hello.scores.framesPerSegment === 0
              ? 'Frames are not looked at: scores.framesPerSegment is 0 in the configuration of the ground station.'
              : 'No frame yet. The first comes with the first segment, some ten seconds after the camera starts.')}
        </p>
      </section>
    )
  }
  const at = timeOfDay(loaded.info.captureMs)
  const name = which === 'student' ? `Student, version ${loaded.info.modelVersion}` : 'Student as shipped'
  const panel = (title: string, note: string, overlay: Overlay, dim = 0, shade = opacity / 100) => (
    <figure>
      <figcaption>
        <b>{title}</b> <span class="muted">{note}</span>
      </figcaption>
      <Picture
        picture={loaded.picture}
        overlay={overlay}
        opacity={shade}
        dim={dim}
        alt={`Frame of ${at}: ${title}, ${note}`}
      />
    </figure>
  )
  return (
    <section class="card views" aria-label="Last frame">
      <div class="views-head">
        <h2>
          Last frame{' '}
          <span class="muted">
            {at}, {duration((props.nowMs - loaded.info.captureMs) / 1000)} ago
          </span>
        </h2>
        <label>
          Compare{' '}
          <select
            value={which}
            onChange={event => setWhich(event.currentTarget.value as 'student' | 'frozen')}
          >
            <option value="student">what flies</option>
            <option value="frozen">the student as shipped</option>
          </select>
        </label>
        <label>
          Labels{' '}
          <input
            type="range"
            min="0"
            max="100"
            value={opacity}
            onInput={event => setOpacity(Number(event.currentTarget.value))}
          />
        </label>
      </div>
      <div class="views-panels">
        {panel(name, 'on the drone', overlays.found)}
        {panel('Teacher', 'on the ground', overlays.teacher)}
        {panel(
          'Difference',
          `on ${percent(overlays.same === undefined ? undefined : 1 - overlays.same)} of the pixels`,
          overlays.difference,
          0.55,
          0.9,
        )}
      </div>
      <ul class="legend" aria-label="Classes, and their share of this frame by the teacher">
        {hello.classes.map((label, k) => (
          <li key={label} class={overlays.shares[k] === 0 ? 'absent' : undefined}>
            <span class="swatch" style={{ background: `rgb(${hello.palette[k].join(' ')})` }} />
            {label} <span class="muted">{percent(overlays.shares[k], 0)}</span>
          </li>
        ))}
        <li>
          <span class="swatch" style={{ background: `rgb(${WRONG.join(' ')})` }} />
          labelled otherwise than by the teacher
        </li>
      </ul>
    </section>
  )
}

/** Loads a view when there is a newer one; the one before stays until it is there. */
function useView(drone: string, info: ViewInfo | undefined): { loaded?: Loaded; failure?: string } {
  const [state, setState] = useState<{ drone: string; loaded?: Loaded; failure?: string }>({ drone })
  useEffect(() => {
    if (info === undefined) return
    const abort = new AbortController()
    const { signal } = abort
    const base = `/api/live/${encodeURIComponent(drone)}/views/${info.id}`
    const labels = (which: string) => fetchLabels(`${base}/labels/${which}`, { signal })
    Promise.all([
      loadPicture(`${base}/picture.jpg`, { signal }),
      labels('teacher'),
      labels('student'),
      labels('frozen'),
    ]).then(
      ([picture, teacher, student, frozen]) => {
        if (!signal.aborted) setState({ drone, loaded: { info, picture, teacher, student, frozen } })
      },
      (error: Error) => {
        if (!signal.aborted) setState(before => ({ ...before, drone, failure: error.message }))
      },
    )
    return () => abort.abort()
  }, [drone, info?.id])
  return state.drone === drone ? state : {}
}

/** Of each class among the labelled pixels, 0..1. */
function shares(labels: Labels, classes: number): number[] {
  const counts = new Uint32Array(256)
  for (const label of labels.data) counts[label]++
  const labelled = labels.data.length - counts[IGNORE]
  return Array.from({ length: classes }, (_, k) => (labelled === 0 ? 0 : counts[k] / labelled))
}
