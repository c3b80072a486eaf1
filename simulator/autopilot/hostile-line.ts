import { encode, message, Signing } from '@kestrel/link/mavlink'
import { type Clock, createRng, type Rng } from '@kestrel/runtime'
import { ardupilotmega, common, type MavLinkData, minimal, standard, x25crc } from 'mavlink-mappings'

/** What a bad line, a stranger and an eavesdropper make of MAVLink. */
export type Kind =
  | 'valid'
  | 'any content'
  | 'random bytes'
  | 'truncated'
  | 'bad checksum'
  | 'unsigned'
  | 'wrong signature'
  | 'replayed'

const weights: [Kind, number][] = [
  ['valid', 30],
  ['any content', 15],
  ['random bytes', 10],
  ['truncated', 10],
  ['bad checksum', 10],
  ['unsigned', 5],
  ['wrong signature', 10],
  ['replayed', 10],
]

interface MessageClass {
  new (): MavLinkData
  readonly MSG_ID: number
  readonly MAGIC_NUMBER: number
  readonly PAYLOAD_LENGTH: number
}

const classes = [minimal.REGISTRY, standard.REGISTRY, common.REGISTRY, ardupilotmega.REGISTRY].flatMap(
  registry => Object.values(registry) as unknown as MessageClass[],
)

/** Old frames that may come again. */
const MOST_KEPT = 4096
const autopilot = { system: 1, component: 1 }

/**
 * Endless packets of an autopilot that signs, among everything that goes wrong or is meant ill. A receiver with the key has to take
 * every `valid` one and every one of `any content`, and none of the others.
 */
export class HostileLine {
  readonly counts: Record<Kind, number>
  readonly #rng: Rng
  readonly #signing: Signing
  readonly #stranger: Signing
  readonly #kept: Buffer[] = []
  #bootMs = 0
  #sequence = 0

  /** @param options.key that receiver and autopilot share */
  constructor(options: { key: Buffer; clock: Clock; seed: number | string }) {
    const { key, clock, seed } = options
    const store = { load: () => undefined, save() {} }
    this.#rng = createRng(`${seed}/hostile-line`)
    this.#signing = new Signing({ key, linkId: 1, clock, store })
    this.#stranger = new Signing({ key: Buffer.alloc(32, 'stranger'), linkId: 1, clock, store })
    this.counts = Object.fromEntries(weights.map(([kind]) => [kind, 0])) as Record<Kind, number>
  }

  /** `time_boot_ms` of the newest valid ATTITUDE. */
  get bootMs(): number {
    return this.#bootMs
  }

  /** The next packet, or what is left of it. */
  next(): { kind: Kind; bytes: Buffer } {
    let kind = this.#kind()
    if (kind === 'replayed' && this.#kept.length === 0) kind = 'valid'
    this.counts[kind] += 1
    return { kind, bytes: this.#make(kind) }
  }

  #make(kind: Kind): Buffer {
    const rng = this.#rng
    switch (kind) {
      case 'valid':
        return this.#keep(this.#signing.sign(this.#attitude(true)))
      case 'any content':
        return this.#keep(this.#signing.sign(this.#anyContent()))
      case 'random bytes':
        // Half of it looks like the beginning of a frame.
        return Buffer.from(
          Array.from({ length: 1 + rng.int(300) }, () =>
            rng.int(20) === 0 ? 0xfd + rng.int(2) : rng.int(256),
          ),
        )
      case 'truncated': {
        const whole = this.#signing.sign(this.#attitude(true))
        // One or two missing bytes are sometimes those that come next: then it is whole after all.
        return whole.subarray(0, 1 + rng.int(whole.length - 4))
      }
      case 'bad checksum': {
        const bent = this.#signing.sign(this.#attitude(true))
        // Behind the header, whose bytes say where the frame ends, and before the signature.
        bent[10 + rng.int(bent[1] + 2)] ^= 1 << rng.int(8)
        return bent
      }
      case 'unsigned':
        return this.#attitude(false)
      case 'wrong signature': {
        if (rng.int(2) === 0) return this.#stranger.sign(this.#attitude(true))
        const forged = this.#signing.sign(this.#attitude(true))
        // Link id, timestamp or the signature itself.
        forged[forged.length - 1 - rng.int(13)] ^= 1 << rng.int(8)
        return forged
      }
      case 'replayed':
        return this.#kept[rng.int(this.#kept.length)]
    }
  }

  #kind(): Kind {
    let at = this.#rng.int(weights.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [kind, weight] of weights) if ((at -= weight) < 0) return kind
    return 'valid'
  }

  #attitude(signed: boolean): Buffer {
    const rng = this.#rng
    this.#bootMs += 1
    const data = message(common.Attitude, {
      timeBootMs: this.#bootMs,
      roll: rng.float(),
      pitch: rng.float(),
      yaw: rng.float(),
      rollspeed: 0,
      pitchspeed: 0,
      yawspeed: 0,
    })
    return encode(data, this.#next(), autopilot, { signed })
  }

  /** A message of any kind with random bytes for fields, from anybody. */
  #anyContent(): Buffer {
    const rng = this.#rng
    const type = classes[rng.int(classes.length)]
    const length = 1 + rng.int(type.PAYLOAD_LENGTH)
    const frame = Buffer.alloc(length + 12)
    const [system, component] = rng.int(2) === 0 ? [255, 190] : [1 + rng.int(3), 2 + rng.int(60)]
    frame.set([0xfd, length, 1, 0, this.#next(), system, component])
    frame.writeUIntLE(type.MSG_ID, 7, 3)
    for (let i = 0; i < length; i++)
      frame[10 + i] = rng.int(4) === 0 ? [0, 1, 191, 255][rng.int(4)] : rng.int(256)
    frame.writeUInt16LE(x25crc(frame, 1, 2, type.MAGIC_NUMBER), length + 10)
    return frame
  }

  #next(): number {
    this.#sequence = (this.#sequence + 1) & 0xff
    return this.#sequence
  }

  #keep(frame: Buffer): Buffer {
    if (this.#kept.length < MOST_KEPT) this.#kept.push(frame)
    else this.#kept[this.#rng.int(MOST_KEPT)] = frame
    return frame
  }
}
