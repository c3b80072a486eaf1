import { type Column, columns, type Row } from '../../dashboard/wire.js'

/** The last half hour of a drone, a row a second, read by columns. */
export class History {
  readonly #most: number
  #rows: Row[] = []
  #columns = new Map<Column, (number | null)[]>()

  /** @param most rows that are kept */
  constructor(most: number) {
    this.#most = most
  }

  get length(): number {
    return this.#rows.length
  }

  add(rows: Row[]): void {
    this.#rows = [...this.#rows, ...rows].slice(-this.#most)
    this.#columns = new Map()
  }

  /** The same array until rows are added, so that what is drawn from it can tell. */
  column(name: Column): (number | null)[] {
    const known = this.#columns.get(name)
    if (known !== undefined) return known
    const at = columns.indexOf(name)
    const values = this.#rows.map(row => row[at])
    this.#columns.set(name, values)
    return values
  }

  /** Whether there is any value in a column. */
  has(name: Column): boolean {
    return this.column(name).some(value => value !== null)
  }

  last(name: Column): number | null {
    return this.#rows.at(-1)?.[columns.indexOf(name)] ?? null
  }
}
