import { distance, number } from '../shared/format.js'
import { valueAt } from './curves.js'
import type { SeriesData } from './data.js'

/** Attitude as an artificial horizon, and the figures of the moment. */
export function Instruments({ series, atMs }: { series: Map<string, SeriesData>; atMs: number }) {
  const at = (name: string) => valueAt(series.get(name), atMs)
  const [roll, pitch, yaw] = [at('rollDeg'), at('pitchDeg'), at('yawDeg')]
  const rows: [string, string][] = [
    ['Height', at('heightM') === undefined ? distance(at('altitudeM')) : number(at('heightM'), 1, 'm')],
    ['Speed', number(at('speedMps') ?? at('airspeedMps'), 1, 'm/s')],
    ['Climb', number(at('climbMps'), 1, 'm/s')],
    [
      'Battery',
      at('batteryPercent') === undefined
        ? number(at('batteryV'), 1, 'V')
        : number(at('batteryPercent'), 0, '%'),
    ],
    ['Satellites', number(at('satellites'))],
    ['Model version', number(at('modelVersion'))],
  ]
  return (
    <section class="card instruments" aria-label="Instruments">
      <Horizon roll={roll} pitch={pitch} yaw={yaw} />
      <dl>
        {rows
          .filter(([, value]) => value !== '–')
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  )
}

/** Pixels of the drawing for each degree of pitch. */
const PER_DEGREE = 1.6

function Horizon({ roll, pitch, yaw }: { roll?: number; pitch?: number; yaw?: number }) {
  const known = roll !== undefined && pitch !== undefined
  const heading = yaw === undefined ? undefined : ((yaw % 360) + 360) % 360
  const words = known
    ? `Roll ${roll.toFixed(0)} degrees, pitch ${pitch.toFixed(0)} degrees, heading ${heading?.toFixed(0) ?? 'unknown'}`
    : 'Attitude unknown'
  return (
    <figure class="horizon">
      <svg viewBox="-60 -60 120 120" role="img" aria-label={words}>
        <clipPath id="dial">
          <circle r="56" />
        </clipPath>
        <g clip-path="url(#dial)">
          <g transform={known ? `rotate(${-roll}) translate(0 ${pitch * PER_DEGREE})` : ''}>
            <rect x="-120" y="-200" width="240" height="200" class="sky" />
            <rect x="-120" y="0" width="240" height="200" class="earth" />
            <line x1="-120" x2="120" y1="0" y2="0" class="line" />
            {[-20, -10, 10, 20].map(step => (
              <line
                key={step}
                x1="-12"
                x2="12"
                y1={step * -PER_DEGREE}
                y2={step * -PER_DEGREE}
                class="line thin"
              />
            ))}
          </g>
        </g>
        <circle r="56" class="rim" />
        <path d="M-34 0h20l7 7M34 0h-20l-7 7" class="wings" />
      </svg>
      <figcaption>
        {known ? (
          <>
            roll <b>{number(roll, 0)}°</b> pitch <b>{number(pitch, 0)}°</b>
            {heading === undefined ? null : (
              <>
                {' '}
                heading <b>{number(heading, 0)}°</b>
              </>
            )}
          </>
        ) : (
          <span class="muted">attitude not known</span>
        )}
      </figcaption>
    </figure>
  )
}
