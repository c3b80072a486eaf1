import type { Recording } from './recording.js'

/** When each frame of a flight was taken, in order, Unix ms. */
export async function* frameTimes(recording: Recording): AsyncGenerator<number> {
  let { frameMs, nextMs } = await recording.moment((await recording.view()).beginMs - 1)
  while (frameMs !== undefined) {
    yield frameMs
    if (nextMs === undefined) return
    ;({ frameMs, nextMs } = await recording.moment(nextMs))
  }
}
