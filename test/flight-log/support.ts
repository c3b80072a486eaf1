import type { FlightInfo, Side } from '@kestrel/flight-log'
import { makeFlightId } from '@kestrel/flight-log'
import { defaultPalette } from '@kestrel/models'
import { type Clock, createRng } from '@kestrel/runtime'

/** A flight of a student that knows three classes. */
export function testInfo(clock: Clock, side: Side = 'drone', seed = 'test'): FlightInfo {
  const startMs = clock.nowMs()
  const classes = ['land', 'water', 'road']
  return {
    id: makeFlightId('scout-1', startMs, createRng(seed)),
    ...{ drone: 'scout-1', side, startMs, software: 'test', student: 'student.onnx', classes },
    palette: defaultPalette(classes.length),
    configuration: '{}',
  }
}
