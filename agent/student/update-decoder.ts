import { applyUpdate, type Student, withParameters } from '@kestrel/models'

export interface WeightState {
  version: number
  /** [P]. */
  parameters: Float32Array
}

/** An update that was verified, and the model that it makes. */
export interface DecodedUpdate extends WeightState {
  /** SHA-256 of the parameters. */
  digest: Uint8Array
  /** The patched model; whoever loads it may move it away. */
  bytes: Uint8Array
}

/** Verifies an update against what flies and patches a copy of the model. */
export interface UpdateDecoder {
  /** @throws UpdateRefused with the reason; nothing changes then */
  decode(data: Uint8Array, base: WeightState): Promise<DecodedUpdate>
}

/** Decodes on the calling thread: some 50 ms for two million parameters. */
export function inProcessDecoder(student: Student): UpdateDecoder {
  return {
    async decode(data, base) {
      const { version, parameters, digest } = applyUpdate(data, base)
      return { version, parameters, digest, bytes: withParameters(student, parameters) }
    },
  }
}
