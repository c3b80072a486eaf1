import { inside } from './mask.js'
import type { GradientRule } from './rule.js'

/** y = max(x, 0): dx = dy where y > 0. */
export const relu: GradientRule = ({ output: [y] }, graph, [dy]) => [inside(graph, dy!, y, 0)]
