/* Numbers for people. Each takes undefined and NaN for "not known", which is a dash. */

const DASH = '–'

type Known = number | undefined | null

function known(value: Known): value is number {
  return value !== undefined && value !== null && Number.isFinite(value)
}

export function number(value: Known, digits = 0, unit = ''): string {
  if (!known(value)) return DASH
  // No "-0.0".
  const text = value.toFixed(digits).replace(/^-(0(\.0*)?)$/, '$1')
  return unit === '' ? text : `${text}\u00a0${unit}`
}

/** @param share 0..1 */
export function percent(share: Known, digits = 1): string {
  return number(known(share) ? 100 * share : undefined, digits, '%')
}

/** A difference of two shares, in points, with its sign. */
export function points(difference: Known, digits = 1): string {
  if (!known(difference)) return DASH
  const text = number(100 * difference, digits)
  return `${Number(text) > 0 ? '+' : ''}${text.replace('-', '−')}`
}

/** Style of such a difference: what is shown as 0 is neither good nor bad. */
export function gainClass(difference: Known): 'good' | 'bad' | '' {
  const shown = known(difference) ? Number(number(100 * difference, 1)) : 0
  return shown > 0 ? 'good' : shown < 0 ? 'bad' : ''
}

export function bytes(value: Known): string {
  if (!known(value)) return DASH
  if (value < 1000) return number(value, 0, 'B')
  const units = ['kB', 'MB', 'GB', 'TB']
  let scaled = value / 1000
  let at = 0
  while (scaled >= 999.5 && at < units.length - 1) {
    scaled /= 1000
    at++
  }
  return number(scaled, scaled < 9.95 ? 1 : 0, units[at])
}

export function kbps(value: Known): string {
  return number(value, known(value) && value < 9.95 ? 1 : 0, 'kbit/s')
}

/** Such as `5 s`, `12 min`, `1 h 05 min`. */
export function duration(seconds: Known): string {
  if (!known(seconds)) return DASH
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s}\u00a0s`
  const minutes = Math.floor(s / 60)
  if (minutes < 10 && s % 60 > 0) return `${minutes}\u00a0min ${String(s % 60).padStart(2, '0')}\u00a0s`
  if (minutes < 60) return `${minutes}\u00a0min`
  return `${Math.floor(minutes / 60)}\u00a0h ${String(minutes % 60).padStart(2, '0')}\u00a0min`
}

/** Time of day here, `14:03:07`. @param ms Unix time */
export function timeOfDay(ms: Known): string {
  if (!known(ms)) return DASH
  const at = new Date(ms)
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map(part => String(part).padStart(2, '0'))
    .join(':')
}

/** Date and time here, `2026-11-28 14:03`. @param ms Unix time */
export function dateAndTime(ms: Known): string {
  if (!known(ms)) return DASH
  const at = new Date(ms)
  const two = (part: number) => String(part).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`
}

/** Metres or kilometres. */
export function distance(metres: Known): string {
  if (!known(metres)) return DASH
  return metres < 1000 ? number(metres, 0, 'm') : number(metres / 1000, 1, 'km')
}
