import { UserError } from '@kestrel/runtime'

/** What a source's text names. */
export type Address =
  | { kind: 'sim' | 'path'; path: string }
  | { kind: 'v4l2'; path: string; width?: number; height?: number; fps?: number; format?: string }
  | { kind: 'rtsp'; url: string }
  | { kind: 'exec'; command: string }

/**
 * Reads a source: `sim:…`, `v4l2:/dev/video0?width=1280&height=720&fps=30&format=mjpeg`, the name of a device under /dev, `rtsp://…`,
 * `exec:COMMAND`; anything else is a path.
 *
 * @throws UserError
 */
export function parseAddress(source: string): Address {
  if (source.startsWith('sim:')) return { kind: 'sim', path: source }
  if (/^rtsps?:\/\//i.test(source)) return { kind: 'rtsp', url: source }
  if (source.startsWith('exec:')) {
    const command = source.slice(5).trim()
    if (command === '')
      throw new UserError('exec: needs a command, such as exec:rpicam-vid -t 0 -n --codec mjpeg -o -')
    return { kind: 'exec', command }
  }
  if (source.startsWith('v4l2:')) return parseV4l2(source)
  // A device that is unplugged at the moment has no file that could tell what it is.
  if (source.startsWith('/dev/')) return { kind: 'v4l2', path: source }
  return { kind: 'path', path: source }
}

/** Whether the text names a file or a folder, which may be relative to something. */
export function isPath(source: string): boolean {
  return !/^(sim:|rtsps?:\/\/|exec:|v4l2:)/i.test(source)
}

function parseV4l2(source: string): Address {
  const [path, query = ''] = source.slice(5).split('?', 2)
  if (path === '') throw new UserError(`${source} names no device: expected v4l2:/dev/video0`)
  const wishes: { width?: number; height?: number; fps?: number; format?: string } = {}
  for (const [key, value] of new URLSearchParams(query)) {
    if (key === 'format') wishes.format = value
    else if (key === 'width' || key === 'height' || key === 'fps') {
      const number = Number(value)
      if (!(number > 0) || (key !== 'fps' && !Number.isInteger(number))) {
        throw new UserError(`${source}: ${key} is ${value}; expected a number above 0`)
      }
      wishes[key] = number
    } else {
      throw new UserError(`${source}: unknown "${key}"; known are width, height, fps and format`)
    }
  }
  return { kind: 'v4l2', path, ...wishes }
}
