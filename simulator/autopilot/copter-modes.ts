/** `custom_mode` numbers of ArduCopter (its `Mode::Number`). */
export const copterModes = {
  STABILIZE: 0,
  AUTO: 3,
  GUIDED: 4,
  LOITER: 5,
  RTL: 6,
  LAND: 9,
} as const

export type CopterMode = (typeof copterModes)[keyof typeof copterModes]

export function isCopterMode(number: number): number is CopterMode {
  return (Object.values(copterModes) as number[]).includes(number)
}

export function modeName(mode: CopterMode): string {
  return Object.entries(copterModes).find(([, number]) => number === mode)?.[0] ?? String(mode)
}
