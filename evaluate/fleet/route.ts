import { IGNORE, type LabelMap, mapClasses, type RgbImage } from '@kestrel/models'
import { aerialClasses, loadScenario, SimCamera } from '@kestrel/simulator'

/** A stretch of a simulated flight that a drone of the fleet flies. */
export interface Route {
  scenario: string
  /** Where in the scenario it begins, s. */
  fromS: number
  /** It stays where it is then: a calm scene, but for light, weather and traffic. */
  hovers?: boolean
}

/** A frame of a route, with its exact labels in the student's classes. */
export interface RouteFrame {
  image: RgbImage
  labels: LabelMap
}

/** Draws a route, one frame a second. */
export function drawRoute(
  { scenario: name, fromS, hovers = false }: Route,
  options: { seconds: number; width: number; height: number; classes: string[] },
): RouteFrame[] {
  const { seconds, width, height, classes } = options
  const table = mapClasses(aerialClasses, classes)
  const camera = new SimCamera(loadScenario(name), { width, height })
  const { flight } = camera
  const still = {
    ...flight.stateAt(fromS),
    velocity: { x: 0, y: 0, z: 0 },
    rates: { roll: 0, pitch: 0, yaw: 0 },
  }
  return Array.from({ length: seconds }, (_, i) => {
    const { image, labels } = camera.render(fromS + i, hovers ? still : undefined)
    return { image, labels: { ...labels, data: labels.data.map(label => table[label] ?? IGNORE) } }
  })
}
