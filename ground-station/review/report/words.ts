import type { FlightEntry } from '../api.js'

/** A share 0..1 for people; a dash where it is not known. */
export function share(value: number | null | undefined): string {
  return value == null ? '–' : `${(100 * value).toFixed(1)} %`
}

/** A difference of shares, in points. */
export function points(difference: number): string {
  const text = (100 * difference).toFixed(1)
  return `${Number(text) > 0 ? '+' : ''}${text.replace('-', '−')}`
}

export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  return hours > 0
    ? `${hours}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)} h`
    : `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`
}

/** How long after the beginning. */
export function since({ beginMs }: FlightEntry, ms: number): string {
  return duration(ms - beginMs)
}

/** In universal time: whoever reads a report may be elsewhere. */
export function date(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
