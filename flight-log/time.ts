/** Unix ms from a log's ns, which are whole µs: as a number they would lose their last digits. */
export function msOf(ns: bigint): number {
  return Number(ns / 1000n) / 1000
}

/** And back. */
export function nsOf(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n
}
