import { z } from 'zod'

/** How training computes, and on what: the same wherever something is trained. */
export const engineOptionsSchema = z.strictObject({
  engine: z.enum(['onnx', 'tfjs']).default('onnx').describe('what computes gradients'),
  provider: z.enum(['cpu', 'cuda', 'webgpu']).default('cpu').describe('where the onnx engine computes them'),
  threads: z
    .number()
    .int()
    .min(0)
    .max(256)
    .default(0)
    .describe('CPU threads of training and teacher; 0: one for each physical core'),
  microBatch: z
    .number()
    .int()
    .min(1)
    .max(1024)
    .optional()
    .describe('frames that go through the training graph at once; fewer need less memory'),
})
