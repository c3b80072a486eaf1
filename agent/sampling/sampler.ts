/**
 * Chooses the frames that the ground will learn from: `r` frames a second of camera time (AMS, section 3.2). The rate is
 * frames/s everywhere in Kestrel, never a share of the camera's frames.
 *
 * Moments `1/r` apart are due; each takes the frame nearest to it. So over any stretch without holes about `r` × its seconds are
 * chosen, and two chosen frames are at least `1/r` less one frame apart, whatever the camera's rate or jitter. After a hole the
 * moments missed are let go, never made up for in a burst.
 */
export class Sampler {
  #periodMs: number
  /** When the next frame is due; undefined before the first frame. */
  #dueMs: number | undefined
  #sampledMs = 0
  #offeredMs = 0
  #intervalMs = 0

  /** @param options.fps r, frames/s, any positive number */
  constructor(options: { fps: number }) {
    this.#periodMs = periodOf(options.fps)
  }

  /** r, frames/s. */
  get fps(): number {
    return 1000 / this.#periodMs
  }

  /** Changes r; the next frame is due `1/r` after the last one chosen. */
  setRate(fps: number): void {
    const periodMs = periodOf(fps)
    if (periodMs === this.#periodMs) return
    this.#periodMs = periodMs
    if (this.#dueMs !== undefined) this.#dueMs = this.#sampledMs + periodMs
  }

  /** The next frame is due at once, or `leastMs` after the last one chosen: something happens that the usual rate would miss. */
  hasten(leastMs: number): void {
    if (this.#dueMs !== undefined) this.#dueMs = Math.min(this.#dueMs, this.#sampledMs + leastMs)
  }

  /**
   * Offers the next frame. Capture times ascend; where the clock was set back, time goes on as if one usual frame had passed.
   *
   * @param captureMs when the frame was taken
   * @returns whether this frame is chosen
   */
  offer(captureMs: number): boolean {
    if (this.#dueMs === undefined) {
      this.#offeredMs = captureMs
      return this.#take(captureMs, captureMs)
    }
    if (captureMs < this.#offeredMs) this.#shift(captureMs - this.#intervalMs - this.#offeredMs)
    this.#intervalMs = captureMs - this.#offeredMs
    this.#offeredMs = captureMs
    // The frame before the moment is nearer than the one after it when it comes less than half a frame early.
    const early = Math.min(this.#intervalMs, this.#periodMs) / 2
    if (captureMs < this.#dueMs - early) return false
    // Only an early frame can come too close to the last one: a frame after its moment is at least 1/r less one frame later.
    const tooClose = captureMs < this.#sampledMs + this.#periodMs - this.#intervalMs
    if (captureMs < this.#dueMs && tooClose) return false
    return this.#take(captureMs, this.#dueMs)
  }

  #take(captureMs: number, dueMs: number): true {
    const missed = captureMs >= dueMs + this.#periodMs
    this.#sampledMs = captureMs
    this.#dueMs = (missed ? captureMs : dueMs) + this.#periodMs
    return true
  }

  /** Moves the past by `ms`, so that what lies ahead keeps its distance. */
  #shift(ms: number): void {
    this.#offeredMs += ms
    this.#sampledMs += ms
    this.#dueMs = this.#dueMs! + ms
  }
}

function periodOf(fps: number): number {
  if (!(fps > 0 && Number.isFinite(fps))) {
    throw new RangeError(`The sampling rate is ${fps} frames/s; it must be a positive number`)
  }
  return 1000 / fps
}
