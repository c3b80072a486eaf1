import type { LabelMap, RgbImage } from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import { conditionsAt } from '../conditions.js'
import type { Flight } from '../mission/plan.js'
import { openFlight, pitchAt, type Scenario } from '../scenario.js'
import type { VehicleState } from '../vehicle-state.js'
import { Tiles } from '../world/tiles.js'
import { Traffic } from '../world/traffic.js'
import { World } from '../world/world.js'
import { axes, gimbalAttitude, Lens } from './lens.js'
import { lightOf } from './light.js'
import { Panorama } from './panorama.js'
import { blurMotion, expose } from './sensor.js'

/** Of the camera, from the middle of the vehicle down, m. */
const BELOW_M = 0.1

/** Amplitude, pixels of a 640-pixel picture, and frequency of the airframe's vibration. */
const JELLO_PX = 0.6
const JELLO_HZ = 83
/** From the first row to the last, s. */
const READOUT_S = 0.02

/** How long the shutter is open by day, s. */
const SHUTTER_S = 1 / 120

/** What the camera of a simulated flight sees. A frame depends on the scenario and the time only, not on those drawn before it. */
export class SimCamera {
  readonly width: number
  readonly height: number
  readonly flight: Flight
  readonly #scenario: Scenario
  readonly #tiles: Tiles
  readonly #traffic: Traffic
  readonly #lens: Lens
  readonly #panorama = new Panorama()
  readonly #jello: Float32Array

  /**
   * @param options.world of the scenario; made where not given
   * @param options.width of the pictures; the scenario's where not given
   */
  constructor(scenario: Scenario, options: { world?: World; width?: number; height?: number } = {}) {
    const { world = new World(scenario.world, scenario.seed) } = options
    const { width = scenario.camera.width, height = scenario.camera.height } = options
    this.#scenario = scenario
    this.width = width
    this.height = height
    this.flight = openFlight(scenario, world)
    this.#tiles = new Tiles(world)
    this.#traffic = new Traffic(world, this.#tiles)
    this.#lens = new Lens({
      width,
      height,
      hfovDeg: scenario.camera.hfovDeg,
      distortion: scenario.camera.distortion,
    })
    this.#jello = new Float32Array(height)
  }

  /**
   * The picture of a moment and the exact label of each of its pixels.
   *
   * @param timeS since the start of the scenario, s
   * @param state where the vehicle is, where it does not fly the scenario's mission
   */
  render(
    timeS: number,
    state: VehicleState = this.flight.stateAt(timeS),
  ): { image: RgbImage; labels: LabelMap } {
    const { width, height } = this
    const { camera, seed } = this.#scenario
    const conditions = conditionsAt(this.#scenario.conditions, timeS)
    const light = lightOf(conditions)
    const attitude = gimbalAttitude(state, pitchAt(camera.pitch, timeS))
    const { x, y, z } = state.position
    this.#traffic.place(x, y, timeS)
    const view = this.#lens.view(attitude)
    this.#panorama.draw({ x, y, z: z - BELOW_M, view, tiles: this.#tiles, light, seed, timeS })
    this.#traffic.remove()
    const spinning = state.armed ? (JELLO_PX * width) / 640 : 0
    for (let row = 0; row < height; row++) {
      const at = timeS + (READOUT_S * row) / height
      this.#jello[row] = spinning * Math.sin(2 * Math.PI * JELLO_HZ * at)
    }
    const image: RgbImage = { width, height, data: new Uint8Array(3 * width * height) }
    const labels: LabelMap = { width, height, data: new Uint8Array(width * height) }
    this.#lens.look(this.#panorama, attitude, this.#jello, { image: image.data, labels: labels.data })
    const { focal } = this.#lens
    const dark = conditions.sunElevationDeg < 10 ? 2.5 : 1
    const openS = SHUTTER_S * dark * conditions.blur * 3
    const above = Math.max(8, z - this.flight.homeZ)
    const flow = (Math.hypot(state.velocity.x, state.velocity.y) / above) * Math.sin(-attitude.pitch)
    blurMotion(image, focal * openS * state.rates.yaw * Math.cos(attitude.pitch), focal * openS * flow)
    expose(image, conditions, this.#sunAt(light.sun, axes(attitude)), createRng(`${seed}/frame/${timeS}`))
    return { image, labels }
  }

  #sunAt(
    sun: [number, number, number],
    { forward, right, down }: ReturnType<typeof axes>,
  ): { x: number; y: number } | undefined {
    const dot = (a: number[]) => a[0] * sun[0] + a[1] * sun[1] + a[2] * sun[2]
    const ahead = dot(forward)
    if (ahead < 0.1 || sun[2] < 0) return undefined
    const { focal } = this.#lens
    return {
      x: this.width / 2 + (focal * dot(right)) / ahead,
      y: this.height / 2 + (focal * dot(down)) / ahead,
    }
  }
}
