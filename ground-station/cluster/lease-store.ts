/** What a key holds; `value` is undefined where there is no such key, at revision 0. */
export interface KeyValue {
  value: string | undefined
  revision: number
}

/** Keys that are changed by compare-and-set, on a server that everybody asks; and who is there. */
export interface LeaseStore {
  /**
   * Sets a key that is at this revision (0: absent).
   *
   * @returns its revision since; undefined where it was at another one
   * @throws Error where the server does not answer: the write may have been made or not
   */
  write(key: string, value: string, revision: number): Promise<number | undefined>
  /** @throws Error where the server does not answer */
  read(key: string): Promise<KeyValue>
  /** Tells the others that this process is there, and how many drones it has. @throws Error where the server does not answer */
  announce(process: string, drones: number): Promise<void>
  /** Tells of every key that is there and of each change from now on, and of each announcement. */
  watch(on: {
    change: (key: string, entry: KeyValue) => void
    announced: (process: string, drones: number) => void
  }): void
}
