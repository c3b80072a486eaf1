/** However rare a class is, its pixels count at most so many times as much as those of an average one. */
const MOST = 8

/** Pixels by label, [256], with those that have none (`IGNORE`). */
export function countPixels(labels: Uint8Array): Uint32Array {
  const counts = new Uint32Array(256)
  for (const label of labels) counts[label]++
  return counts
}

/**
 * Weights of the classes in the loss, [C]: (mean frequency / frequency)^exponent. mIoU asks as much of a rare class as of a frequent one, plain
 * cross-entropy hardly sees it; an exponent of 1/2 stands between the two.
 *
 * @param counts pixels of each class, [≥C]; a class without any has weight 1
 * @param exponent 0: all alike, as in the paper
 */
export function classWeights(counts: ArrayLike<number>, classes: number, exponent: number): Float32Array {
  const found = Array.from({ length: classes }, (_, c) => counts[c])
  const present = found.filter(count => count > 0)
  const mean = present.reduce((sum, count) => sum + count, 0) / present.length
  return Float32Array.from(found, count => (count > 0 ? Math.min(MOST, (mean / count) ** exponent) : 1))
}
