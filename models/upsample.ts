/** For each output index: the lower input index and the weight of the upper one (half-pixel centres, edges clamped). */
interface Axis {
  low: Uint32Array
  weight: Float64Array
  /** Half-open ranges of output indices that share their lower index: [low, from, to]. */
  cells: [number, number, number][]
}

function axis(from: number, to: number): Axis {
  const low = new Uint32Array(to)
  const weight = new Float64Array(to)
  const cells: [number, number, number][] = []
  for (let i = 0; i < to; i++) {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1)
    low[i] = Math.min(Math.floor(at), Math.max(0, from - 2))
    weight[i] = at - low[i]
    const cell = cells[cells.length - 1]
    if (cell !== undefined && cell[0] === low[i]) cell[2] = i + 1
    else cells.push([low[i], i, i + 1])
  }
  return { low, weight, cells }
}

/**
 * The arg-max over classes of logits that are up-sampled bilinearly (half_pixel, PyTorch's align_corners=False), without
 * up-sampling them: where the four corners of a cell agree on the class, so does everything between them, and elsewhere only
 * classes that can win somewhere in the cell are looked at. Of equal scores the lowest class wins.
 *
 * @param logits [classes,h,w]
 * @param out receives the class indices [height,width]
 */
export function argmaxUpsampled(
  logits: Float32Array,
  classes: number,
  h: number,
  w: number,
  height: number,
  width: number,
  out: Uint8Array = new Uint8Array(height * width),
): Uint8Array {
  const plane = h * w
  if (logits.length !== classes * plane || out.length !== height * width) {
    throw new RangeError(
      `Logits of ${classes}x${h}x${w} to labels of ${height}x${width}: found ${logits.length} and ${out.length} elements`,
    )
  }
  const best = argmax(logits, classes, plane)
  const rows = axis(h, height)
  const columns = axis(w, width)
  const candidates = new Uint8Array(classes)
  const left = new Float64Array(classes)
  const right = new Float64Array(classes)
  for (const [y0, fromY, toY] of rows.cells) {
    const down = y0 + 1 < h ? w : 0
    for (const [x0, fromX, toX] of columns.cells) {
      const a = y0 * w + x0
      const b = x0 + 1 < w ? a + 1 : a
      const c = a + down
      const d = b + down
      const first = best[a]
      if (first === best[b] && first === best[c] && first === best[d]) {
        for (let y = fromY; y < toY; y++) out.fill(first, y * width + fromX, y * width + toX)
        continue
      }
      const count = contenders(logits, classes, plane, a, b, c, d, candidates)
      for (let y = fromY; y < toY; y++) {
        const v = rows.weight[y]
        for (let k = 0; k < count; k++) {
          const at = candidates[k] * plane
          left[k] = (1 - v) * logits[at + a] + v * logits[at + c]
          right[k] = (1 - v) * logits[at + b] + v * logits[at + d]
        }
        for (let x = fromX; x < toX; x++) {
          const u = columns.weight[x]
          let winner = 0
          let top = (1 - u) * left[0] + u * right[0]
          for (let k = 1; k < count; k++) {
            const score = (1 - u) * left[k] + u * right[k]
            if (score > top) {
              top = score
              winner = k
            }
          }
          out[y * width + x] = candidates[winner]
        }
      }
    }
  }
  return out
}

/** The arg-max of each position, [plane]; of equal scores the lowest class. */
function argmax(logits: Float32Array, classes: number, plane: number): Uint8Array {
  const best = new Uint8Array(plane)
  const top = logits.slice(0, plane)
  for (let k = 1; k < classes; k++) {
    const at = k * plane
    for (let i = 0; i < plane; i++) {
      if (logits[at + i] > top[i]) {
        top[i] = logits[at + i]
        best[i] = k
      }
    }
  }
  return best
}

/**
 * Fills `candidates` with the classes that can win within a cell, ascending, and returns their number. A class whose best corner
 * is below another's worst corner cannot: between corners a bilinear value stays within theirs.
 */
function contenders(
  logits: Float32Array,
  classes: number,
  plane: number,
  a: number,
  b: number,
  c: number,
  d: number,
  candidates: Uint8Array,
): number {
  let floor = Number.NEGATIVE_INFINITY
  for (let k = 0, at = 0; k < classes; k++, at += plane) {
    floor = Math.max(floor, Math.min(logits[at + a], logits[at + b], logits[at + c], logits[at + d]))
  }
  let count = 0
  for (let k = 0, at = 0; k < classes; k++, at += plane) {
    const most = Math.max(logits[at + a], logits[at + b], logits[at + c], logits[at + d])
    if (most >= floor) candidates[count++] = k
  }
  // Only where scores are not numbers does nobody qualify; the first class stands in.
  if (count === 0) candidates[count++] = 0
  return count
}
