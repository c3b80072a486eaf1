import { UserError } from '@kestrel/runtime'
import { describeFormats, type OfferedFormat, type OfferedSize, type Rate, usable } from './modes.js'

/** What somebody wants of a camera; what is left open is chosen. */
export interface WantedMode {
  width?: number
  height?: number
  fps?: number
  /** A name such as `mjpeg` or `yuyv`, or V4L2's own four characters. */
  format?: string
}

export interface Mode {
  fourcc: string
  width: number
  height: number
  /** Frames a second; undefined leaves it to the driver. */
  fps?: number
}

/** Without a wish: what the student sees twice over, and no more than USB and a small board carry. */
const USUAL = { width: 1280, height: 720, fps: 30 }
/** A slide show is no choice where a smaller size moves. */
const SMOOTH_FPS = 20
/** 29.97 is 30. */
const SAME_RATE = 0.01

/**
 * The mode to open a camera in: exactly what is wanted, and where nothing is, about 1280x720 at 30 frames/s, uncompressed
 * where that is fast enough.
 *
 * @param device names it in the error
 * @throws UserError that lists what the camera offers, where it does not offer what is wanted
 */
export function chooseMode(formats: OfferedFormat[], wanted: WantedMode, device: string): Mode {
  const candidates = formats
    .filter(({ fourcc }) => matches(fourcc, wanted.format))
    .flatMap(format => modesOf(format, wanted))
  const [best] = candidates.sort((a, b) => compare(rank(a, wanted), rank(b, wanted)))
  if (best !== undefined) return best
  throw new UserError(
    `${device} does not offer ${describeWish(wanted)}. It offers${list(describeFormats(formats))}${hint(formats)}`,
  )
}

function matches(fourcc: string, format: string | undefined): boolean {
  if (!Object.hasOwn(usable, fourcc)) return false
  return format === undefined || format.toUpperCase() === fourcc || format.toLowerCase() === usable[fourcc]
}

function modesOf({ fourcc, sizes }: OfferedFormat, wanted: WantedMode): Mode[] {
  // A driver that lists no sizes is asked for the wished one, and says what it made of it.
  if (sizes.length === 0) {
    const { width = USUAL.width, height = USUAL.height, fps } = wanted
    return [{ fourcc, width, height, fps }]
  }
  return sizes.flatMap(({ size, rates }) => {
    const fitting = fittingSize(size, wanted)
    const fps = fittingRate(rates, wanted.fps)
    return fitting === undefined || fps === 'none' ? [] : [{ fourcc, ...fitting, fps }]
  })
}

function fittingSize(
  size: OfferedSize['size'],
  wanted: WantedMode,
): { width: number; height: number } | undefined {
  const side = (name: 'width' | 'height') => {
    const wish = wanted[name]
    if (!('max' in size)) return wish === undefined || wish === size[name] ? size[name] : undefined
    const [min, max, step] = [size.min[name], size.max[name], size.step[name]]
    if (wish === undefined) {
      const near = Math.min(max, Math.max(min, USUAL[name]))
      return min + Math.floor((near - min) / step) * step
    }
    return wish >= min && wish <= max && (wish - min) % step === 0 ? wish : undefined
  }
  const [width, height] = [side('width'), side('height')]
  return width === undefined || height === undefined ? undefined : { width, height }
}

/** The rate to ask for; undefined where the driver does not say which it has. */
function fittingRate(rates: Rate[], wish: number | undefined): number | undefined | 'none' {
  if (rates.length === 0) return wish
  const nearest = (target: number) =>
    rates.map(rate => (typeof rate === 'number' ? rate : Math.min(rate.max, Math.max(rate.min, target))))
  if (wish !== undefined) {
    return nearest(wish).find(fps => Math.abs(fps - wish) <= SAME_RATE * wish) ?? 'none'
  }
  const all = nearest(USUAL.fps)
  const notAbove = all.filter(fps => fps <= USUAL.fps * (1 + SAME_RATE))
  return notAbove.length > 0 ? Math.max(...notAbove) : Math.min(...all)
}

/** Smaller is better, one number after the other. */
function rank({ fourcc, width, height, fps = USUAL.fps }: Mode, wanted: WantedMode): number[] {
  const pixels = width * height
  const most = USUAL.width * USUAL.height
  const smooth = wanted.fps !== undefined || fps >= SMOOTH_FPS ? 0 : 1
  return [
    smooth,
    // The largest that is not too large, else the smallest of those that are.
    pixels <= most ? 0 : 1,
    pixels <= most ? most - pixels : pixels,
    // What costs no decoding, unless it is markedly slower.
    -Math.round(fps / 5),
    Object.keys(usable).indexOf(fourcc),
  ]
}

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : a[at] - b[at]
}

function describeWish({ width, height, fps, format }: WantedMode): string {
  const size = width === undefined && height === undefined ? [] : [`${width ?? 'any'}x${height ?? 'any'}`]
  const parts = [
    ...(format === undefined ? [] : [format]),
    ...size,
    ...(fps === undefined ? [] : [`${fps} fps`]),
  ]
  return parts.length === 0 ? 'a format that can be used' : parts.join(', ')
}

function list(lines: string[]): string {
  return lines.length === 0 ? ' no formats at all' : `:\n${lines.map(line => `  ${line}`).join('\n')}`
}

/** Raw sensors (Bayer patterns) are behind libcamera. */
function hint(formats: OfferedFormat[]): string {
  if (formats.length === 0 || formats.some(({ fourcc }) => Object.hasOwn(usable, fourcc))) return ''
  return '\nA CSI camera that gives raw sensor data needs its ISP: use exec: with rpicam-vid or gst-launch-1.0 (docs/cameras.md)'
}
