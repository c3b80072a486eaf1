import type { Log } from '@kestrel/runtime'

/** A mini-batch: images and the labels that the student should give them. */
export interface Batch {
  /** B, the number of images. */
  size: number
  /** [B,3,H,W] planar RGB, 0..255, at the student's input size. */
  images: Uint8Array
  /** [B,labelHeight,labelWidth] class indices; IGNORE (255) where a pixel has no label. */
  labels: Uint8Array
  labelHeight: number
  labelWidth: number
  /** [C], how much a pixel of each class counts in the loss; all alike where it is absent. */
  classWeights?: Float32Array
}

/** What one pass over a batch gives. */
export interface Gradients {
  /** Cross-entropy, (weighted) mean over the labelled pixels of the whole batch; 0 where no pixel is labelled. */
  loss: number
  /** [P] in the order of the parameter vector. The engine's own memory: valid until the next call. */
  gradient: Float32Array
  /**
   * Mean and (population) variance of this batch, by the name of the initializer that holds the running value; only with
   * batchNorm 'batch'. Over micro-batches, the mean of theirs.
   */
  batchStatistics?: Map<string, Float32Array>
}

/**
 * Computes gradients of a student (DESIGN.md section 4). The loss: logits up-sampled bilinearly (half-pixel centres) to
 * the size of the labels, then pixel-wise cross-entropy over the pixels whose label is not IGNORE, weighted by class where the batch says so.
 *
 * Optimiser, choice of coordinates and replay live outside, on flat vectors.
 */
export interface TrainingEngine {
  readonly name: 'onnx' | 'tfjs'
  /** Where it computes: 'cpu', 'cuda', 'webgpu', or the TensorFlow.js backend. */
  readonly provider: string
  /**
   * Loss and its gradient. One call at a time.
   *
   * @param parameters [P]; read only
   * @throws UserError where images or labels do not have the sizes that the batch tells
   */
  lossAndGradient(batch: Batch, parameters: Float32Array): Promise<Gradients>
  dispose(): Promise<void>
}

export interface EngineOptions {
  /** 'onnx' (the default) trains on ONNX Runtime, 'tfjs' on TensorFlow.js. */
  engine?: 'onnx' | 'tfjs'
  /** Execution provider of the ONNX engine; 'cpu' takes its place, with one warning, where it is not to be had. */
  provider?: 'cpu' | 'cuda' | 'webgpu'
  /** Threads that compute; 0 (the default): one for each physical core. */
  threads?: number
  /**
   * Images that go through the graph at once. A batch is cut into micro-batches of this size, whose gradients add up to
   * the batch's exactly (but for rounding); smaller ones need less memory.
   */
  microBatch?: number
  /**
   * BatchNormalization with its stored statistics ('frozen', the default, as while adapting) or with those of the
   * micro-batch ('batch', for pre-training).
   */
  batchNorm?: 'frozen' | 'batch'
  log?: Log
}
