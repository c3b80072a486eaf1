/** The eight aerial classes of the Dronescapes data set, in its order: label = index. */
export const aerialClasses = [
  'land',
  'forest',
  'residential',
  'road',
  'little-objects',
  'water',
  'sky',
  'hill',
]

/** Their colours in label pictures. */
export const aerialPalette: [number, number, number][] = [
  [176, 196, 96],
  [20, 110, 40],
  [190, 60, 60],
  [120, 120, 130],
  [240, 200, 40],
  [40, 90, 200],
  [150, 210, 250],
  [140, 100, 60],
]

/** Labels by name, for those who make them. */
export const Label = {
  land: 0,
  forest: 1,
  residential: 2,
  road: 3,
  littleObjects: 4,
  water: 5,
  sky: 6,
  hill: 7,
} as const
