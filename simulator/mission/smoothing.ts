/**
 * Three box filters of `width` samples (odd) in a row: a quadratic B-spline. A path with corners in time becomes one whose
 * acceleration is continuous and whose jerk is bounded: a change of velocity Δv at one moment becomes an acceleration of at most
 * 0.75 Δv / width and a jerk of at most Δv / width². Beyond its ends the signal goes on as it begins and ends.
 */
export function smooth(signal: Float64Array, width: number): Float64Array {
  return box(box(box(signal, width), width), width)
}

/** How far, in samples to either side, `smooth` looks. */
export function smoothingReach(width: number): number {
  return (3 * (width - 1)) / 2
}

/** The nearest odd number of samples. */
export function oddSamples(seconds: number, rateHz: number): number {
  return 2 * Math.round((seconds * rateHz - 1) / 2) + 1
}

function box(signal: Float64Array, width: number): Float64Array {
  const half = (width - 1) / 2
  const n = signal.length
  // Sums are relative to the first sample, so that a signal that stands still is kept bit for bit.
  const origin = signal[0]
  const sums = new Float64Array(n + width)
  for (let i = 0; i < sums.length - 1; i++) {
    const at = Math.min(Math.max(i - half, 0), n - 1)
    sums[i + 1] = sums[i] + (signal[at] - origin)
  }
  return Float64Array.from({ length: n }, (_, i) => origin + (sums[i + width] - sums[i]) / width)
}

/** Greatest value within `reach` samples to either side: smoothed afterwards, it never dips below the signal. */
export function dilate(signal: Float64Array, reach: number): Float64Array {
  const out = new Float64Array(signal.length)
  const queue: number[] = []
  let head = 0
  let next = 0
  for (let i = 0; i < signal.length; i++) {
    for (; next < signal.length && next <= i + reach; next++) {
      while (queue.length > head && signal[queue[queue.length - 1]] <= signal[next]) queue.pop()
      queue.push(next)
    }
    while (queue[head] < i - reach) head++
    out[i] = signal[queue[head]]
  }
  return out
}

/** The least signal above the given one that rises and falls by no more than this a sample. */
export function limitSlopes(signal: Float64Array, rise: number, fall: number): Float64Array {
  const out = Float64Array.from(signal)
  for (let i = 1; i < out.length; i++) out[i] = Math.max(out[i], out[i - 1] - fall)
  for (let i = out.length - 2; i >= 0; i--) out[i] = Math.max(out[i], out[i + 1] - rise)
  return out
}

/** Rate of change, a second, by central differences. */
export function slopes(signal: Float64Array, rateHz: number): Float64Array {
  const last = signal.length - 1
  return Float64Array.from(signal, (_, i) => {
    const before = Math.max(i - 1, 0)
    const after = Math.min(i + 1, last)
    return after === before ? 0 : ((signal[after] - signal[before]) * rateHz) / (after - before)
  })
}
