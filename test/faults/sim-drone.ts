import { create } from '@bufbuild/protobuf'
import {
  LinkModule,
  memorySegmentStore,
  Outbox,
  parseAgentConfig,
  type SlotFiles,
  SlotStore,
  type StudentHost,
  UpdateApplier,
} from '@kestrel/agent'
import { decodeEnvelope, encodeEnvelope, SegmentSchema, topic, VideoCodec } from '@kestrel/link'
import { readParameters } from '@kestrel/models'
import { type Clock, createRng, type Rng, silentLog } from '@kestrel/runtime'
import type { NetworkEnd } from './network.js'
import { digestOf, FRAMES, hex, PERIOD_S, type World } from './world.js'

export const NAME = 'kes1'

/** Small, so that outages overflow it. */
const MAX_SEGMENTS = 6

type Disk = Map<string, Uint8Array>

/** The drone: real link, applier, weight store and outbox; what survives its deaths lies on its disks. */
export class SimDrone {
  readonly #world: World
  readonly #rng: Rng
  #disk: Disk = new Map()
  /** The disk after each save, oldest first. */
  #snapshots: Disk[] = []
  readonly #segments = memorySegmentStore()
  #offsetMs = 0
  #life = 0
  #end: NetworkEnd | undefined
  #applier: UpdateApplier | undefined
  #outbox: Outbox | undefined
  #sequence = 0n
  /** Of lives that are over. */
  #counted = { dropped: 0, unconfirmed: 0 }
  /** Swaps to an update. */
  applied = 0

  constructor(world: World, seed: number) {
    this.#world = world
    this.#rng = createRng(`${seed}/drone`)
  }

  get isAlive(): boolean {
    return this.#applier !== undefined
  }

  /** SHA-256 of what flies. */
  get digest(): string | undefined {
    return this.#applier && digestOf(this.#applier.parameters)
  }

  get version(): number | undefined {
    return this.#applier?.version
  }

  get waiting(): number {
    return this.#outbox?.length ?? 0
  }

  get dropped(): number {
    return this.#counted.dropped + (this.#outbox?.dropped ?? 0)
  }

  get unconfirmed(): number {
    return this.#counted.unconfirmed + (this.#outbox?.unconfirmed ?? 0)
  }

  async start(): Promise<void> {
    const life = ++this.#life
    const { clock: time, network, student } = this.#world
    const clock = time.shifted(this.#offsetMs)
    const store = new SlotStore({ folder: 'weights', student, log: silentLog, files: this.#files(life) })
    const [start, previous] = await store.load()
    if (life !== this.#life) return
    this.#flies(digestOf(start.parameters), `loads version ${start.version}`)
    const applier = new UpdateApplier({
      student,
      host: this.#host(life),
      store,
      start,
      previous,
      rolledBack: store.rolledBack,
      clock,
    })
    let outbox: Outbox | undefined
    const link = new LinkModule(
      parseAgentConfig({ drone: NAME, student: 's.onnx', camera: { source: 'x' } }),
      {
        student: {
          student,
          applier,
          reject: async digest => {
            await applier.reject(digest)
          },
          onRolledBack: listener => {
            this.#onRolledBack = listener
          },
        },
        uplink: () => ({
          control: () => {},
          receipt: id => outbox?.receipt(hex(id)),
          setUp: up => outbox?.setUp(up),
        }),
        connect: ({ will }) => {
          this.#end = network.connect(NAME, will)
          return this.#end
        },
        clock,
        log: silentLog,
      },
    )
    link.start()
    outbox = new Outbox({
      publish: message => this.#end!.publish(topic(NAME, 'segment'), message, { qos: 1 }),
      idOf: message => hex(decodeEnvelope(message).id),
      store: this.#fencedSegments(life),
      maxSegments: MAX_SEGMENTS,
      clock,
      log: silentLog,
    })
    outbox.setUp(this.#end!.up)
    this.#applier = applier
    this.#outbox = outbox
    void this.#film(life, outbox, clock)
  }

  #onRolledBack: () => void = () => {}

  /** The pilot wants the weights before. */
  async rollBack(): Promise<void> {
    const outcome = await this.#applier?.rollBack()
    if (outcome?.rolledBack) this.#onRolledBack()
  }

  /** kill -9. */
  crash(): void {
    this.#life++
    this.#counted = { dropped: this.dropped, unconfirmed: this.unconfirmed }
    this.#end?.kill()
    this.#applier = undefined
    this.#outbox = undefined
  }

  /** Somebody puts an older disk in. @param back how many saves ago; beyond the first the disk is empty */
  restoreDisk(back: number): void {
    this.#disk = new Map(this.#snapshots.at(-1 - back) ?? [])
  }

  /** From the next start on. */
  setClock(offsetMs: number): void {
    this.#offsetMs = offsetMs
  }

  async #film(life: number, outbox: Outbox, clock: Clock): Promise<void> {
    const { made, video, size } = this.#world
    for (;;) {
      await clock.sleep(1000 * PERIOD_S)
      if (life !== this.#life) return
      const nowUs = BigInt(Math.round(clock.nowMs() * 1000)) + 10_000_000_000_000n
      const value = create(SegmentSchema, {
        sequence: ++this.#sequence,
        codec: VideoCodec.H264,
        ...size,
        video,
        frames: Array.from({ length: FRAMES }, (_, i) => ({
          captureUs: nowUs - BigInt((FRAMES - i) * 1_000_000),
        })),
      })
      const message = encodeEnvelope({ case: 'segment', value }, { clock })
      made.add(hex(decodeEnvelope(message).id))
      outbox.push(message)
    }
  }

  /** Whatever flies, the ground has sent it. */
  #flies(digest: string, how: string): void {
    this.#world.say(`drone ${how} ${digest.slice(0, 8)}`)
    if (!this.#world.issued.has(digest)) this.#world.fault(`the drone flies weights that nobody sent: ${how}`)
  }

  /** Takes its time, sometimes refuses, and looks at what it is given: the bytes of the model itself. */
  #host(life: number): StudentHost {
    const { clock, student } = this.#world
    let standby: string | undefined
    const alive = async (ms: number) => {
      await clock.sleep(ms)
      if (life !== this.#life) await new Promise(() => {})
    }
    return {
      load: async bytes => {
        await alive(50 + 300 * this.#rng.float())
        if (this.#rng.float() < 0.02) throw new Error('no memory')
        standby = digestOf(readParameters({ ...student, bytes }))
      },
      canary: async () => {
        await alive(20)
        return { ok: this.#rng.float() >= 0.02, detail: 'as drawn' }
      },
      swap: async () => {
        await alive(5)
        if (standby === undefined) throw new Error('nothing in standby')
        this.applied++
        this.#flies(standby, 'swaps to')
      },
    }
  }

  #files(life: number): SlotFiles {
    const alive = async () => {
      await this.#world.clock.sleep(5)
      if (life !== this.#life) await new Promise(() => {})
    }
    return {
      read: async path => this.#disk.get(path),
      write: async (path, chunks) => {
        await alive()
        this.#disk.set(path, Buffer.concat(chunks))
      },
      sync: alive,
      rename: async (from, to) => {
        await alive()
        const bytes = this.#disk.get(from)
        if (bytes === undefined) throw new Error(`there is no ${from}`)
        this.#disk.delete(from)
        this.#disk.set(to, bytes)
        this.#snapshots = [...this.#snapshots, new Map(this.#disk)].slice(-20)
      },
      syncFolder: alive,
    }
  }

  #fencedSegments(life: number): ReturnType<typeof memorySegmentStore> {
    return {
      ...this.#segments,
      remove: key => {
        if (life === this.#life) this.#segments.remove(key)
      },
    }
  }
}
