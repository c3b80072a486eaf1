import { create } from '@bufbuild/protobuf'
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt'

/** Unix ms from a log's ns, which are whole µs: as a number they would lose their last digits. */
export function msOf(ns: bigint): number {
  return Number(ns / 1000n) / 1000
}

/** And back. */
export function nsOf(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n
}

/** The same as Foxglove's messages have it; the library's own helper makes fractions of a nanosecond out of those of a millisecond. */
export function timestampOf(ms: number): Timestamp {
  const us = BigInt(Math.round(ms * 1000))
  return create(TimestampSchema, { seconds: us / 1_000_000n, nanos: Number(us % 1_000_000n) * 1000 })
}
