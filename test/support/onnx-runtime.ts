import type { Student } from '@kestrel/models'
import ort from 'onnxruntime-node'

/** A student's logits by ONNX Runtime; no code of ours computes them. */
export async function runtimeLogits(
  student: Student,
  bytes: Uint8Array,
  image: Float32Array,
): Promise<{ data: Float32Array; dims: number[] }> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 })
  try {
    const { name, height, width } = student.input
    const batch = image.length / (3 * height * width)
    const found = await session.run({ [name]: new ort.Tensor('float32', image, [batch, 3, height, width]) })
    const { data, dims } = found[student.output.name]
    return { data: Float32Array.from(data as Float32Array), dims: [...dims] }
  } finally {
    await session.release()
  }
}
