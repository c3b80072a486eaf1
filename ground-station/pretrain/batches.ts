import type { Student } from '@kestrel/models'
import type { Rng } from '@kestrel/runtime'
import type { Batch } from '../training/engine.js'
import { classWeights, countPixels } from '../training/loss/class-weights.js'
import { augment } from './augment.js'
import type { Example, ExampleSet } from './examples.js'
import type { Recipe } from './recipe.js'

interface Pool extends ExampleSet {
  /** Running sums of how often each example is drawn. */
  cumulative: Float64Array
}

/** Sources whose pixels count alike: a batch is of one group. */
interface Group {
  pools: Pool[]
  weight: number
  /** [C] */
  classWeights: Float32Array
}

/**
 * Makes batches: the group by the weight of its sources, the source by its weight, the example by how rare its classes are. All that
 * is drawn follows from the generator.
 */
export function batches(student: Student, recipe: Recipe, sets: ExampleSet[]): (rng: Rng) => Batch {
  const { width, height } = student.input
  const { batch: size } = recipe
  const groups = groupByBalance(sets, recipe.classBalance, student.classes.length)
  return rng => {
    // Where all pixels count alike there is nothing to draw.
    const { pools, classWeights } = groups.length === 1 ? groups[0] : byWeight(groups, rng)
    const images = new Uint8Array(size * 3 * width * height)
    const labels = new Uint8Array(size * width * height)
    for (let b = 0; b < size; b++) {
      const pool = byWeight(pools, rng)
      const at = rng.float() * pool.cumulative[pool.cumulative.length - 1]
      const example = pool.examples[lowerBound(pool.cumulative, at)]
      const place = { imageAt: b * 3 * width * height, labelAt: b * width * height }
      const how = { ...recipe.augment, upsideDown: pool.nadir }
      augment(example, how, rng, { width, height, images, labels, ...place })
    }
    return { size, images, labels, labelHeight: height, labelWidth: width, classWeights }
  }
}

function groupByBalance(sets: ExampleSet[], otherwise: number, classes: number): Group[] {
  const balances = [...new Set(sets.map(({ classBalance = otherwise }) => classBalance))]
  return balances.map(balance => {
    const own = sets.filter(({ classBalance = otherwise }) => classBalance === balance)
    const pools = own.map(set => ({ ...set, cumulative: rarity(set.examples, classes) }))
    const weight = pools.reduce((sum, { weight }) => sum + weight, 0)
    return { pools, weight, classWeights: classWeights(pixelCounts(own), classes, balance) }
  })
}

function byWeight<T extends { weight: number }>(things: T[], rng: Rng): T {
  let left = rng.float() * things.reduce((sum, { weight }) => sum + weight, 0)
  return things.find(({ weight }) => (left -= weight) < 0) ?? things[things.length - 1]
}

/** Pixels by label in all examples, [256]. */
function pixelCounts(sets: ExampleSet[]): Float64Array {
  const sum = new Float64Array(256)
  for (const { examples } of sets) {
    for (const { labels } of examples) {
      countPixels(labels.data).forEach((count, label) => {
        sum[label] += count
      })
    }
  }
  return sum
}

/** Running sums of the examples' weights: 1, and more for each class that few pixels of the source have. */
function rarity(examples: Example[], classes: number): Float64Array {
  const counts = examples.map(({ labels }) => {
    const count = new Float64Array(classes)
    for (const label of labels.data) if (label < classes) count[label]++
    return count
  })
  const share = (count: Float64Array, k: number, pixels: number) => count[k] / pixels
  const pixels = examples[0] === undefined ? 1 : examples[0].labels.data.length
  const mean = Array.from(
    { length: classes },
    (_, k) => counts.reduce((sum, count) => sum + share(count, k, pixels), 0) / Math.max(1, examples.length),
  )
  let sum = 0
  return Float64Array.from(counts, count => {
    let weight = 1
    for (let k = 0; k < classes; k++) {
      if (share(count, k, pixels) > 0.003) weight += Math.min(3, 0.15 / Math.sqrt(Math.max(1e-4, mean[k])))
    }
    sum += weight
    return sum
  })
}

/** The first place whose sum is above a value. */
function lowerBound(cumulative: Float64Array, value: number): number {
  let [low, high] = [0, cumulative.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (cumulative[middle] > value) high = middle
    else low = middle + 1
  }
  return low
}
