import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf'
import { EnvelopeSchema, TelemetrySchema, VehicleSchema } from '@kestrel/link'
import {
  EventSchema,
  LearningPhaseSchema,
  LearningScoreSchema,
  LinkTrafficSchema,
} from './proto/flight_pb.js'
import { CompressedImageSchema } from './proto/foxglove/CompressedImage_pb.js'
import { CompressedVideoSchema } from './proto/foxglove/CompressedVideo_pb.js'
import { LocationFixSchema } from './proto/foxglove/LocationFix_pb.js'
import { LogSchema } from './proto/foxglove/Log_pb.js'

const known = new Map<string, DescMessage>(
  [
    CompressedImageSchema,
    CompressedVideoSchema,
    EnvelopeSchema,
    EventSchema,
    LearningPhaseSchema,
    LearningScoreSchema,
    LinkTrafficSchema,
    LocationFixSchema,
    LogSchema,
    TelemetrySchema,
    VehicleSchema,
  ].map(schema => [schema.typeName, schema]),
)

/** The message that a log has as bytes; undefined for types that are not known here, and for bytes that are none of the type. */
export function decodeMessage(schema: string, data: Uint8Array): Message | undefined {
  const type = known.get(schema)
  if (type === undefined) return undefined
  try {
    return fromBinary(type, data, { readUnknownFields: false })
  } catch {
    return undefined
  }
}
