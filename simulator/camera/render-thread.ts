import { Worker } from 'node:worker_threads'
import type { LabelMap, RgbImage } from '@kestrel/models'
import type { Scenario } from '../scenario.js'
import { type DrawnFrame, drawnFrames } from './drawn-frames.js'

export interface RenderStart {
  scenario: Scenario
  width: number
  height: number
}

export interface RenderReply {
  image?: RgbImage
  labels?: LabelMap
  error?: string
}

/** A simulated camera on a thread of its own: a frame takes tens of milliseconds, and a new stretch of land some seconds. */
export class RenderThread {
  readonly #worker: Worker
  /** All that a frame follows from, but for its time. */
  readonly #key: string
  #waiting: {
    resolve: (frame: DrawnFrame) => void
    reject: (error: Error) => void
  }[] = []
  #ended: Error | undefined

  constructor(start: RenderStart) {
    this.#key = JSON.stringify(start)
    this.#worker = new Worker(new URL('./render-worker.js', import.meta.url), { workerData: start })
    this.#worker.on('message', ({ image, labels, error }: RenderReply) => {
      const waiting = this.#waiting.shift()
      if (image !== undefined && labels !== undefined) waiting?.resolve({ image, labels })
      else waiting?.reject(new Error(error))
    })
    this.#worker.on('error', error => this.#end(error))
    this.#worker.on('exit', () => this.#end(new Error('the renderer was stopped')))
  }

  /** The frame of a moment, s since the start of the scenario; those that must be drawn come in the order in which they were asked for. */
  async render(timeS: number): Promise<DrawnFrame> {
    const key = `${timeS} ${this.#key}`
    const kept = drawnFrames.find(key)
    if (kept !== undefined) return kept
    const frame = await this.#draw(timeS)
    drawnFrames.keep(key, frame)
    return frame
  }

  #draw(timeS: number): Promise<DrawnFrame> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(timeS)
    })
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended)
  }
}
