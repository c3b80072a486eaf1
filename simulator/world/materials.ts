import { Label } from './classes.js'

type Colour = [number, number, number]

interface Material {
  label: number
  /** Albedo in summer, sRGB 0..255. */
  colour: Colour
  /** In autumn and winter (bare, withered); as in summer where not given. */
  autumn?: Colour
  /** In drought. */
  dry?: Colour
  /** Share of it that lying snow covers, 0..1. */
  snow: number
  /** How far its own pattern goes from dark to bright, 0..1. */
  contrast: number
}

const material = (
  label: number,
  colour: Colour,
  more: Partial<Omit<Material, 'label' | 'colour'>> = {},
): Material => ({ label, colour, snow: 0.9, contrast: 0.35, ...more })

const { land, forest, residential, road, littleObjects, water, hill } = Label

/** What surfaces are made of. */
export const materials = {
  grass: material(land, [96, 122, 58], { autumn: [122, 120, 68], dry: [158, 142, 86] }),
  lawn: material(land, [84, 128, 56], { autumn: [112, 122, 66], dry: [150, 140, 84] }),
  wheat: material(land, [188, 166, 96], { autumn: [134, 112, 78], contrast: 0.25 }),
  crop: material(land, [78, 116, 52], { autumn: [128, 108, 70], dry: [146, 132, 74], contrast: 0.4 }),
  rape: material(land, [190, 180, 52], { autumn: [116, 98, 64], contrast: 0.25 }),
  plough: material(land, [122, 96, 70], { contrast: 0.4 }),
  sand: material(land, [206, 186, 146], { snow: 0.7, contrast: 0.2 }),
  dune: material(land, [202, 168, 118], { snow: 0.3, contrast: 0.18 }),
  snowfield: material(land, [226, 232, 240], { contrast: 0.12 }),
  yard: material(land, [150, 140, 122], { contrast: 0.25 }),
  broadleaf: material(forest, [52, 86, 36], {
    autumn: [138, 92, 40],
    dry: [92, 98, 48],
    snow: 0.35,
    contrast: 0.7,
  }),
  conifer: material(forest, [34, 62, 40], { snow: 0.55, contrast: 0.6 }),
  undergrowth: material(forest, [56, 66, 36], { autumn: [106, 80, 46], snow: 0.8, contrast: 0.5 }),
  shrub: material(forest, [96, 102, 58], {
    autumn: [116, 98, 60],
    dry: [122, 112, 72],
    snow: 0.5,
    contrast: 0.5,
  }),
  palm: material(forest, [70, 100, 46], { snow: 0.2, contrast: 0.6 }),
  redRoof: material(residential, [158, 84, 62], { snow: 0.85 }),
  brownRoof: material(residential, [112, 86, 70], { snow: 0.85 }),
  greyRoof: material(residential, [104, 106, 112], { snow: 0.85 }),
  slateRoof: material(residential, [70, 76, 88], { snow: 0.85 }),
  flatRoof: material(residential, [158, 156, 150], { snow: 0.85, contrast: 0.2 }),
  adobe: material(residential, [190, 158, 116], { snow: 0.5, contrast: 0.2 }),
  wall: material(residential, [196, 186, 168], { snow: 0, contrast: 0.2 }),
  asphalt: material(road, [92, 92, 96], { snow: 0.35, contrast: 0.2 }),
  marking: material(road, [206, 206, 200], { snow: 0.4, contrast: 0.1 }),
  cobble: material(road, [126, 118, 108], { snow: 0.45, contrast: 0.4 }),
  dirtRoad: material(road, [166, 142, 108], { snow: 0.5, contrast: 0.3 }),
  whiteCar: material(littleObjects, [224, 224, 222], { snow: 0, contrast: 0.1 }),
  darkCar: material(littleObjects, [48, 52, 62], { snow: 0, contrast: 0.1 }),
  redCar: material(littleObjects, [164, 40, 38], { snow: 0, contrast: 0.1 }),
  blueCar: material(littleObjects, [52, 84, 150], { snow: 0, contrast: 0.1 }),
  bale: material(littleObjects, [206, 184, 112], { snow: 0.3, contrast: 0.2 }),
  pole: material(littleObjects, [126, 114, 98], { snow: 0, contrast: 0.1 }),
  boat: material(littleObjects, [232, 230, 226], { snow: 0, contrast: 0.1 }),
  lake: material(water, [54, 78, 86], { snow: 0.25, contrast: 0.12 }),
  sea: material(water, [38, 74, 96], { snow: 0, contrast: 0.16 }),
  surf: material(water, [198, 210, 212], { snow: 0, contrast: 0.3 }),
  grassHill: material(hill, [110, 118, 66], { autumn: [126, 108, 68], dry: [150, 130, 84], contrast: 0.45 }),
  rock: material(hill, [134, 126, 116], { snow: 0.45, contrast: 0.6 }),
  chalk: material(hill, [206, 200, 186], { snow: 0.3, contrast: 0.35 }),
  redRock: material(hill, [158, 108, 78], { snow: 0.3, contrast: 0.55 }),
} satisfies Record<string, Material>

export type MaterialName = keyof typeof materials

const names = Object.keys(materials) as MaterialName[]

/** Index of each material in the tables that the renderer reads. */
export const M = Object.fromEntries(names.map((name, i) => [name, i])) as Record<MaterialName, number>

/** By index. */
export const materialList: Material[] = names.map(name => materials[name])
