import { inside } from './mask.js'
import type { GradientRule } from './rule.js'

/** y = min(max(x, lo), hi): dx = dy where lo < y < hi. The bounds are constants (Relu6 is a Clip to 0..6). */
export const clip: GradientRule = ({ input: [, lo, hi], output: [y] }, graph, [dy]) => {
  const bound = (name: string | undefined) => (name ? graph.constantOf(name)?.[0] : undefined)
  return [inside(graph, dy!, y, bound(lo), bound(hi))]
}
