import { createHash } from 'node:crypto'
import { encodeSegment } from '@kestrel/link'
import { readParameters, type Student } from '@kestrel/models'
import { createRng, type Rng } from '@kestrel/runtime'
import { testImage, tinySize, tinyStudent } from '../agent/support.js'
import { Network } from './network.js'
import { SimClock } from './sim-clock.js'

/** T_update of the simulated flights, s. */
export const PERIOD_S = 20

/** Frames of a segment. */
export const FRAMES = 1

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** One clip serves all segments: what is in the pictures is not what is tested here. */
const clip = encodeSegment([testImage(0)], {
  codec: 'h264',
  targetKbps: 400,
  durationS: PERIOD_S,
})
const shared = tinyStudent()

/** What drone and ground have in common, and the books that are kept about both. */
export class World {
  readonly clock = new SimClock()
  readonly rng: Rng
  readonly network: Network
  readonly student: Student = shared
  readonly size = tinySize
  /** Digests (hex) of all weights that the ground has sent, and of the shipped ones. */
  readonly issued = new Set<string>([digestOf(readParameters(shared))])
  /** Sentences about what must not be. */
  readonly faults: string[] = []
  /** Segments by message id: how often each life of the ground took it. */
  readonly taken = new Map<string, Map<number, number>>()
  /** Message ids of all segments that the drone has made. */
  readonly made = new Set<string>()
  readonly log: string[] = []

  private constructor(
    seed: number,
    readonly video: Uint8Array,
  ) {
    this.rng = createRng(`${seed}/world`)
    this.network = new Network({ clock: this.clock, rng: createRng(`${seed}/network`) })
  }

  static async create(seed: number): Promise<World> {
    return new World(seed, await clip)
  }

  say(line: string): void {
    this.log.push(`${(this.clock.nowMs() / 1000).toFixed(1)} s ${line}`)
  }

  fault(what: string): void {
    this.say(`FAULT ${what}`)
    this.faults.push(what)
  }
}

/** SHA-256 of parameters, apart from the code under test. */
export function digestOf(parameters: Float32Array): string {
  const { buffer, byteOffset, byteLength } = parameters
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
}
