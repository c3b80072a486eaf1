import type { Clock, Log } from '@kestrel/runtime'
import type { Camera } from '../camera/camera.js'
import { openCamera } from '../camera/open.js'
import type { AgentConfig } from './config.js'
import type { Module } from './modules.js'

/** The camera named in the configuration. */
export class CameraModule implements Module {
  readonly name = 'camera'
  readonly #config: AgentConfig
  readonly #clock: Clock
  readonly #log: Log
  #camera: Camera | undefined

  constructor(config: AgentConfig, options: { clock: Clock; log: Log }) {
    this.#config = config
    this.#clock = options.clock
    this.#log = options.log.child('camera')
  }

  get camera(): Camera {
    if (this.#camera === undefined) throw new Error('the camera has not been started')
    return this.#camera
  }

  /** @throws UserError where the source cannot be opened */
  async start(): Promise<void> {
    const camera = await openCamera({ ...this.#config.camera, clock: this.#clock, log: this.#log })
    await camera.start()
    this.#camera = camera
    // What is missing has been said.
    if (camera.trouble === undefined) this.#log.info(camera.description)
  }

  async stop(): Promise<void> {
    await this.#camera?.stop()
  }
}
