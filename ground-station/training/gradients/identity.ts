import type { GradientRule } from './rule.js'

/** y = x (Identity, Dropout in inference, Cast from float to float): dx = dy. */
export const identity: GradientRule = (_node, _graph, [dy]) => [dy]
