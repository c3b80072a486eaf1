import { basename } from 'node:path'
import { decodeVideoFile } from '@kestrel/link'
import type { Log } from '@kestrel/runtime'
import type { FrameSource } from './source.js'

/**
 * A video file, anything that FFmpeg reads.
 *
 * @param options.fps plays the pictures at this rate in place of the file's own times
 * @throws UserError when it is no video
 */
export async function openFile(path: string, options: { fps?: number; log: Log }): Promise<FrameSource> {
  const { fps, log } = options
  const probe = await decodeVideoFile(path).probe()
  return {
    name: basename(path),
    fps: fps ?? probe.fps,
    width: probe.width,
    height: probe.height,
    async *read() {
      const video = decodeVideoFile(path)
      for await (const frame of video) {
        yield fps === undefined ? frame : { ...frame, ptsMs: (1000 * frame.index) / fps }
      }
      if (video.skipped > 0) log.warn(`${path}: ${video.skipped} damaged pictures were left out`)
    },
  }
}
