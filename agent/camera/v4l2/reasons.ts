import { SystemError } from './kernel.js'

/** What a camera's errors mean (errno(3), V4L2's `Generic Error Codes`), and what to do. */
const REASONS: Record<string, string> = {
  ENOENT: 'there is no such device: plug the camera in, or see what there is with `kestrel-agent cameras`',
  ENODEV: 'it was unplugged',
  ENXIO: 'it was unplugged',
  EIO: 'it does not answer (cable, power or USB hub)',
  EPROTO: 'it does not answer (cable, power or USB hub)',
  ENOSPC: 'its USB bus has no bandwidth left: choose mjpeg or a smaller size, or another port',
  EACCES: 'permission denied: put the user of the agent into the group video',
  EBUSY: 'another program uses it',
}

/** A system error in words; any other as it is. */
export function explain(error: unknown): unknown {
  if (!(error instanceof SystemError)) return error
  return new Error(REASONS[error.code] ?? error.message, { cause: error })
}
