import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'

export interface Session {
  session: InferenceSession
  Tensor: typeof OrtTensor
}

/**
 * Opens a model in ONNX Runtime. The native library loads on first use, so that those who never train need not wait
 * for it. `session.run` computes on the calling thread before it returns.
 */
export async function openSession(
  bytes: Uint8Array,
  options: InferenceSession.SessionOptions = {},
): Promise<Session> {
  const { default: ort } = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(bytes, {
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    ...options,
  })
  return { session, Tensor: ort.Tensor }
}
