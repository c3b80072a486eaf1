import type { PixelFormat } from '@kestrel/link'
import { capability, formatDescription, frameInterval, frameSize, type SizeRange, VIDIOC } from './abi.js'
import { type Kernel, SystemError } from './kernel.js'

/** What a device says of itself. */
export interface DeviceIdentity {
  driver: string
  /** Its name, such as `HD Pro Webcam C920`. */
  card: string
  /** Where it is plugged in, such as `usb-0000:01:00.0-1.2`. */
  bus: string
  /** Whether it takes pictures and hands them over by streaming, the one way that is used here. */
  captures: boolean
}

/** Frames a second: one rate, or any within bounds. */
export type Rate = number | { min: number; max: number }

/** One size of a format, or a range of sizes, with its rates; no rates where the driver cannot say. */
export interface OfferedSize {
  size: { width: number; height: number } | SizeRange
  rates: Rate[]
}

/** One format; no sizes where the driver cannot say. */
export interface OfferedFormat {
  /** As V4L2 names it, `MJPG`. */
  fourcc: string
  name: string
  sizes: OfferedSize[]
}

/** Drivers end their lists by EINVAL; one that does not is not asked for ever. */
const MOST = 256
/** Formats that are of no use are named as far as this. */
const MOST_NAMED = 6

export function identify(kernel: Kernel, fd: number): DeviceIdentity {
  const buffer = capability.alloc()
  kernel.ioctl(fd, VIDIOC.QUERYCAP, buffer)
  const { driver, card, bus, captures, streams } = capability.read(buffer)
  return { driver, card, bus, captures: captures && streams }
}

/** All formats, sizes and rates of an open device (VIDIOC_ENUM_FMT, _FRAMESIZES, _FRAMEINTERVALS). */
export function listFormats(kernel: Kernel, fd: number): OfferedFormat[] {
  const list = <T>(request: number, alloc: (index: number) => Buffer, read: (buffer: Buffer) => T): T[] => {
    const found: T[] = []
    for (let index = 0; index < MOST; index++) {
      const buffer = alloc(index)
      if (!answers(kernel, fd, request, buffer)) break
      found.push(read(buffer))
    }
    return found
  }
  return list(VIDIOC.ENUM_FMT, formatDescription.alloc, formatDescription.read).map(({ fourcc, name }) => ({
    fourcc,
    name,
    sizes: list(VIDIOC.ENUM_FRAMESIZES, index => frameSize.alloc(index, fourcc), frameSize.read).map(size => {
      // The rates of a range are asked at its largest size, where they are the least.
      const { width, height } = 'max' in size ? size.max : size
      const alloc = (index: number) => frameInterval.alloc(index, fourcc, width, height)
      return { size, rates: list(VIDIOC.ENUM_FRAMEINTERVALS, alloc, frameInterval.read) }
    }),
  }))
}

/** False where the list has ended, or where the driver does not have this request. */
function answers(kernel: Kernel, fd: number, request: number, buffer: Buffer): boolean {
  try {
    kernel.ioctl(fd, request, buffer)
    return true
  } catch (error) {
    if (error instanceof SystemError && (error.code === 'EINVAL' || error.code === 'ENOTTY')) return false
    throw error
  }
}

/** V4L2's formats that can be used, the best first, and how their bytes are read. */
export const usable: Record<string, 'mjpeg' | PixelFormat> = {
  NV12: 'nv12',
  YU12: 'yuv420p',
  YUYV: 'yuyv',
  UYVY: 'uyvy',
  RGB3: 'rgb24',
  BGR3: 'bgr24',
  MJPG: 'mjpeg',
  JPEG: 'mjpeg',
  GREY: 'grey',
}

/**
 * A line for each list of sizes and rates, with the formats that have it: `MJPG: 1280x720 30, 15 fps; 640x480 30 fps`; formats that cannot
 * be used are only named, at the end.
 */
export function describeFormats(formats: OfferedFormat[]): string[] {
  const bySizes = new Map<string, string[]>()
  const others: string[] = []
  for (const { fourcc, name, sizes } of formats) {
    if (!Object.hasOwn(usable, fourcc)) {
      others.push(`${fourcc} (${name})`)
      continue
    }
    const all = sizes.map(({ size, rates }) => {
      const fps = rates.map(describeRate).join(', ')
      return `${describeSize(size)}${fps === '' ? '' : ` ${fps} fps`}`
    })
    const key = all.length === 0 ? 'sizes unknown' : all.join('; ')
    bySizes.set(key, [...(bySizes.get(key) ?? []), fourcc])
  }
  const lines = [...bySizes].map(([sizes, names]) => `${names.join(', ')}: ${sizes}`)
  if (others.length === 0) return lines
  const more = others.length > MOST_NAMED ? ` and ${others.length - MOST_NAMED} more` : ''
  return [...lines, `not used: ${others.slice(0, MOST_NAMED).join(', ')}${more}`]
}

function describeSize(size: OfferedSize['size']): string {
  if (!('max' in size)) return `${size.width}x${size.height}`
  const { min, max, step } = size
  const steps = step.width === 1 && step.height === 1 ? '' : ` in steps of ${step.width}x${step.height}`
  return `${min.width}x${min.height} to ${max.width}x${max.height}${steps}`
}

function describeRate(rate: Rate): string {
  const short = (fps: number) => String(Number(fps.toFixed(2)))
  return typeof rate === 'number' ? short(rate) : `${short(rate.min)} to ${short(rate.max)}`
}
