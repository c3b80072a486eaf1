import { create } from '@bufbuild/protobuf'
import type { Dashboard, LiveView } from '@kestrel/ground-station'
import {
  CommandResultSchema,
  encodeJpeg,
  StatusSchema,
  TelemetrySchema,
  UpdateResultSchema,
} from '@kestrel/link'
import type { LabelMap } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import { aerialClasses, loadScenario, RenderThread } from '@kestrel/simulator'

/* Drones that a dashboard hears of without there being any: what they say follows from a seed and the time. */

/** What a scripted drone has been told. */
interface Told {
  paused: boolean
  minFps: number
  maxFps: number
  version: number
  /** The last number that was given to an update. */
  issued: number
}

export class ScriptedDrone {
  readonly name: string
  readonly told: Told = { paused: false, minFps: 0.1, maxFps: 1, version: 0, issued: 0 }
  /** Of the home, degrees. */
  readonly #home: [number, number]
  readonly #rng
  readonly #observer: Dashboard['observer']

  constructor(name: string, index: number, observer: Dashboard['observer']) {
    this.name = name
    this.#home = [47.39 + 0.002 * index, 8.54 + 0.003 * index]
    this.#rng = createRng(`scripted/${name}`)
    this.#observer = observer
  }

  arrive(): void {
    const { name } = this
    const status = create(StatusSchema, {
      online: true,
      software: 'kestrel-agent 0.1.0',
      student: 'student-aerial8-256x144.onnx',
      classes: [...aerialClasses],
      modelVersion: this.told.version,
      flight: `${name}-20261128-140312-a1b2`,
    })
    this.#observer.status?.(name, status, undefined)
    this.#observer.event?.(name, {
      timeMs: Date.now(),
      severity: 'info',
      type: 'online',
      text: 'Here, and flies version 0',
    })
  }

  leave(): void {
    this.#observer.status?.(this.name, create(StatusSchema, { online: false }), undefined)
    this.#observer.event?.(this.name, {
      timeMs: Date.now(),
      severity: 'warning',
      type: 'offline',
      text: 'Gone; its training state is kept',
    })
  }

  /** One second of flight. @param s since the start */
  second(s: number, timeMs: number): void {
    const { paused, minFps, maxFps, version } = this.told
    const bend = s / 40
    const [lat, lon] = this.#home
    const telemetry = create(TelemetrySchema, {
      timeUs: BigInt(Math.round(timeMs * 1000)),
      fps: 29.5 + this.#rng.float(),
      latencyP50Ms: 31 + 4 * this.#rng.float(),
      latencyP99Ms: 44 + 12 * this.#rng.float(),
      frames: BigInt(30 * s),
      framesDropped: BigInt(Math.floor(s / 30)),
      samplingFps: 0.55 + 0.3 * Math.sin(s / 70),
      modelVersion: version,
      flight: `${this.name}-20261128-140312-a1b2`,
      learning: { paused, minFps, maxFps, holds: paused ? ['paused by the pilot'] : [] },
      board: {
        model: 'Raspberry Pi 5',
        cpu: 0.6 + 0.1 * this.#rng.float(),
        memory: 0.31,
        temperatureC: 58 + 6 * Math.sin(s / 200),
      },
      vehicle: {
        connected: true,
        kind: 'ArduCopter',
        armed: true,
        mode: 'Auto',
        batteryPercent: 92 - s / 40,
        batteryV: 15.6 - s / 800,
        batteryA: 18 + this.#rng.float(),
        gpsFix: 3,
        satellites: 14,
        pose: {
          positioned: true,
          latitudeDeg: lat + 0.0022 * Math.sin(bend) * (0.6 + s / 2000),
          longitudeDeg: lon + 0.0034 * Math.sin(bend * 0.7),
          heightM: 60,
          altitudeM: 510,
          yawRad: bend,
          speedMps: 9,
        },
      },
    })
    this.#observer.telemetry?.(this.name, telemetry)
    const bytes = (length: number) => new Uint8Array(length)
    this.#observer.message?.(this.name, { timeMs, direction: 'up', what: 'telemetry', bytes: bytes(260) })
    if (s % 10 === 9 && !paused) {
      const size = 150_000 + Math.round(60_000 * this.#rng.float())
      this.#observer.message?.(this.name, { timeMs, direction: 'up', what: 'segment', bytes: bytes(size) })
    }
  }

  /** A phase that sends an update, and the drone that takes it, or does not. */
  phase(n: number, timeMs: number, refused = false): void {
    const { told, name } = this
    const version = ++told.issued
    const bytes = 30_000 + Math.round(20_000 * this.#rng.float())
    this.#observer.message?.(name, {
      timeMs,
      direction: 'down',
      what: 'update',
      bytes: new Uint8Array(bytes),
    })
    this.#observer.phase?.(name, {
      ...{
        timeMs,
        phase: n,
        trained: true,
        iterations: 20,
        loss: 0.9 / Math.sqrt(n),
        frames: 40,
        heldOut: 1,
        sent: true,
      },
      ...{ samplingFps: 0.6, updatePeriodS: 10, phi: 0.62 + 0.1 * Math.sin(n), durationMs: 6400 },
      ...{ holdOutBefore: 0.3 + n / 200, holdOutAfter: 0.31 + n / 190 },
      update: { version, baseVersion: told.version, weights: 34_289, bytes },
    })
    const answer = { version, applied: !refused, modelVersion: refused ? told.version : version, applyMs: 84 }
    const why = refused ? { reason: 'canary', detail: 'one class fills 97 % of the last frames' } : {}
    this.#observer.updateResult?.(name, create(UpdateResultSchema, { ...answer, ...why }))
    if (!refused) told.version = version
    this.#observer.event?.(name, {
      timeMs,
      ...(refused
        ? {
            severity: 'warning',
            type: 'update-refused',
            text: `Update ${version} was refused: canary, one class fills 97 % of the last frames`,
          }
        : { severity: 'info', type: 'update-applied', text: `Version ${version} flies (swapped in 84 ms)` }),
    })
  }

  view(view: LiveView): void {
    this.#observer.view?.(this.name, view)
  }

  /** As an agent does it. */
  follow(order: { kind: string; on?: boolean; minFps?: number; maxFps?: number; fromVersion?: number }) {
    const { told } = this
    const answer = (done: boolean, detail: string) =>
      create(CommandResultSchema, { done, detail, modelVersion: told.version })
    switch (order.kind) {
      case 'learning':
        told.paused = !order.on
        return answer(true, order.on ? 'learning goes on' : 'learning is paused')
      case 'sampling':
        Object.assign(told, { minFps: order.minFps, maxFps: order.maxFps })
        return answer(true, `between ${order.minFps} and ${order.maxFps} frames/s are sampled`)
      case 'roll-back':
        told.version--
        return answer(true, `version ${told.version} flies again instead of version ${order.fromVersion}`)
      default:
        return answer(false, 'the disk is full')
    }
  }
}

/** A frame of the simulated world, labelled exactly by the teacher; the student errs more the worse it is. */
export class ScriptedViews {
  readonly #renderer = new RenderThread({ scenario: loadScenario('valley-to-town'), width: 512, height: 288 })

  async at(s: number, options: { version: number; captureMs: number; wrong: number }): Promise<LiveView> {
    const { version, captureMs, wrong } = options
    const { image, labels } = await this.#renderer.render(s)
    const teacher = half(labels)
    const student = spoil(teacher, wrong, `student/${s}`)
    const frozen = spoil(teacher, Math.min(0.9, wrong + 0.25), `frozen/${s}`)
    return {
      captureMs,
      modelVersion: version,
      picture: { width: image.width, height: image.height, jpeg: await encodeJpeg(image) },
      labels: { teacher, student, frozen },
      scores: [],
      window: { frames: 6, adapting: 0.62 - wrong / 2, frozen: 0.4 - wrong / 4 },
    }
  }

  stop(): Promise<void> {
    return this.#renderer.stop()
  }
}

function half({ width, height, data }: LabelMap): LabelMap {
  const size = { width: width / 2, height: height / 2 }
  const out = new Uint8Array(size.width * size.height)
  for (let i = 0; i < out.length; i++)
    out[i] = data[2 * Math.floor(i / size.width) * width + 2 * (i % size.width)]
  return { ...size, data: out }
}

/** Blocks of another class over a share of the picture. */
function spoil({ width, height, data }: LabelMap, share: number, seed: string): LabelMap {
  const rng = createRng(seed)
  const out = Uint8Array.from(data)
  for (let y = 0; y < height; y += 12) {
    for (let x = 0; x < width; x += 16) {
      if (rng.float() > share) continue
      const label = rng.int(aerialClasses.length)
      for (let row = y; row < Math.min(height, y + 12); row++)
        out.fill(label, row * width + x, row * width + Math.min(width, x + 16))
    }
  }
  return { width, height, data: out }
}
