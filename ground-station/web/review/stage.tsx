import { useEffect, useState } from 'preact/hooks'
import { percent } from '../shared/format.js'
import { agreement, type Colour, type Labels, paintDifference, paintLabels } from '../shared/labels.js'
import { type Overlay, Picture } from '../shared/picture.js'
import { type FlightView, type LabelSide, loadFrame, loadLabels, loadMoment, type Moment } from './data.js'

export type Layer = LabelSide | 'difference' | 'none'

const titles: Record<Layer, string> = {
  student: 'Student',
  teacher: 'Teacher',
  frozen: 'Frozen student',
  difference: 'Student ≠ teacher',
  none: 'Camera',
}

const MARK: Colour = [255, 0, 200]

/** What is on screen at a moment: complete, so that a picture and its labels change together. */
export interface Scene {
  moment: Moment
  picture?: ImageBitmap
  labels: Partial<Record<LabelSide, Labels>>
  failure?: string
}

/** The scene of a moment. While one is loaded only the newest wish is kept, so that dragging never lags behind. */
export function useScene(id: string, atMs: number): Scene | undefined {
  const [scene, setScene] = useState<Scene>()
  const [loader] = useState(() => newestOnly((wanted: number) => loadScene(id, wanted), setScene))
  useEffect(() => loader(atMs), [atMs])
  return scene
}

function newestOnly<W, T>(load: (wanted: W) => Promise<T>, show: (loaded: T) => void): (wanted: W) => void {
  let next: { wanted: W } | undefined
  let busy = false
  const run = async () => {
    busy = true
    while (next !== undefined) {
      const { wanted } = next
      next = undefined
      show(await load(wanted))
    }
    busy = false
  }
  return wanted => {
    next = { wanted }
    if (!busy) void run()
  }
}

async function loadScene(id: string, atMs: number): Promise<Scene> {
  try {
    const moment = await loadMoment(id, atMs)
    const sides = Object.entries(moment.labels) as [LabelSide, number][]
    const [picture, ...maps] = await Promise.all([
      moment.frameMs === undefined ? undefined : loadFrame(id, moment.frameMs),
      ...sides.map(([side, ms]) => loadLabels(id, side, ms)),
    ])
    return { moment, picture, labels: Object.fromEntries(sides.map(([side], i) => [side, maps[i]])) }
  } catch (error) {
    return { moment: { labels: {} }, labels: {}, failure: (error as Error).message }
  }
}

/** Two pictures side by side, each with a layer that can be chosen. */
export function Stage(props: {
  view: FlightView
  scene: Scene | undefined
  layers: [Layer, Layer]
  opacity: number
  onLayers: (layers: [Layer, Layer]) => void
  onOpacity: (opacity: number) => void
}) {
  const { view, scene, layers, opacity } = props
  const offered: Layer[] = [
    'none',
    ...(Object.keys(view.labels) as LabelSide[]),
    ...(view.labels.student && view.labels.teacher ? (['difference'] as const) : []),
  ]
  return (
    <section class="card stage" aria-label="Frames">
      <div class="stage-pictures">
        {layers.map((layer, i) => (
          <Pane
            key={i}
            {...{ view, scene, layer, opacity, offered, place: i === 0 ? 'left' : 'right' }}
            onLayer={chosen => props.onLayers(i === 0 ? [chosen, layers[1]] : [layers[0], chosen])}
          />
        ))}
      </div>
      <div class="stage-row">
        <Legend view={view} />
        <label class="end">
          Labels{' '}
          <input
            type="range"
            min="0"
            max="1"
            step="0.05"
            value={opacity}
            onInput={event => props.onOpacity(Number(event.currentTarget.value))}
            aria-label="How strong labels cover the picture"
          />
        </label>
      </div>
      {scene?.failure === undefined ? null : (
        <p class="bad" role="alert">
          {scene.failure}
        </p>
      )}
    </section>
  )
}

function Pane(props: {
  view: FlightView
  scene: Scene | undefined
  layer: Layer
  offered: Layer[]
  opacity: number
  place: string
  onLayer: (layer: Layer) => void
}) {
  const { view, scene, layer, opacity, offered, place } = props
  const [overlay, setOverlay] = useState<Overlay>()
  useEffect(() => setOverlay(overlayOf(scene, layer, view.palette)), [scene, layer, view])
  const { teacher, student } = scene?.labels ?? {}
  const same =
    teacher !== undefined && student !== undefined && teacher.data.length === student.data.length
      ? agreement(teacher, student)
      : undefined
  const age = ageOf(scene, layer)
  return (
    <figure class="pane" data-layer={layer} data-frame={scene?.moment.frameMs ?? ''}>
      <figcaption>
        <select
          value={layer}
          onChange={event => props.onLayer(event.currentTarget.value as Layer)}
          aria-label={`What the ${place} picture shows`}
        >
          {offered.map(one => (
            <option key={one} value={one}>
              {titles[one]}
            </option>
          ))}
        </select>
        {layer === 'difference' ? <span class="muted">{percent(same)} of the pixels agree</span> : null}
        {age === undefined ? null : <span class="muted">{age}</span>}
      </figcaption>
      <Picture
        picture={scene?.picture}
        overlay={overlay}
        opacity={layer === 'difference' ? Math.max(opacity, 0.5) : opacity}
        dim={layer === 'difference' ? 0.35 : 0}
        alt={`Frame of the camera, ${titles[layer]}`}
      />
    </figure>
  )
}

function overlayOf(scene: Scene | undefined, layer: Layer, palette: Colour[]): Overlay | undefined {
  if (scene === undefined || layer === 'none') return undefined
  const { student, teacher } = scene.labels
  if (layer === 'difference') {
    if (student === undefined || teacher === undefined || student.data.length !== teacher.data.length)
      return undefined
    return { ...teacher, pixels: paintDifference(teacher, student, MARK) }
  }
  const labels = scene.labels[layer]
  return labels && { width: labels.width, height: labels.height, pixels: paintLabels(labels, palette) }
}

/** Labels may be those of another frame: the student's are logged less often than frames come. */
function ageOf(scene: Scene | undefined, layer: Layer): string | undefined {
  if (scene?.moment.frameMs === undefined || layer === 'none') return undefined
  const side = layer === 'difference' ? 'student' : layer
  const at = scene.moment.labels[side]
  if (at === undefined) return 'no labels near'
  const late = (at - scene.moment.frameMs) / 1000
  return Math.abs(late) < 0.05
    ? undefined
    : `labels of a frame ${Math.abs(late).toFixed(1)} s ${late > 0 ? 'later' : 'earlier'}`
}

export function Legend({ view }: { view: FlightView }) {
  return (
    <ul class="legend" aria-label="Classes">
      {view.classes.map((name, i) => (
        <li key={name}>
          <svg width="12" height="12" aria-hidden="true">
            <rect
              width="12"
              height="12"
              rx="2"
              fill={`rgb(${(view.palette[i] ?? [128, 128, 128]).join(' ')})`}
            />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  )
}
