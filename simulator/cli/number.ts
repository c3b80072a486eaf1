import { InvalidArgumentError } from 'commander'

/** A parser of numbers within bounds, for options. */
export function number(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`expected a number from ${least} to ${most}.`)
    }
    return value
  }
}
