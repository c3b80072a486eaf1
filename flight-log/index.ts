export {
  type CatalogueEntry,
  keepQuota,
  listFlights,
  mendFlight,
  mendFlights,
  type QuotaOutcome,
} from './catalogue.js'
export { decodeMessage } from './decode.js'
export { Flight, openFlight } from './flight.js'
export { makeFlightId, parseFlightId } from './flight-id.js'
export { type FlightInfo, type Side, withoutSecrets } from './flight-info.js'
export { FlightLog, type FlightLogLimits, type FlightLogOptions } from './flight-log.js'
export type { FlightMessage, ReadOptions } from './flight-part.js'
export { decodeLabelPicture, encodeLabelPicture, logSize } from './label-picture.js'
export { LogFile, type MessageRange, type RawMessage } from './mcap/log-file.js'
export { diskStorage, type LogHandle, type LogStorage } from './mcap/storage.js'
export { type ClassSums, type FlightEvent, miouOf, type OverviewData, type TrackPoint } from './overview.js'
export * from './proto/flight_pb.js'
export { type CompressedImage, CompressedImageSchema } from './proto/foxglove/CompressedImage_pb.js'
export { type CompressedVideo, CompressedVideoSchema } from './proto/foxglove/CompressedVideo_pb.js'
export { type LocationFix, LocationFixSchema } from './proto/foxglove/LocationFix_pb.js'
export { type Log as LogMessage, Log_Level, LogSchema } from './proto/foxglove/Log_pb.js'
export { type Recovered, recoverFile } from './recover.js'
export { descriptorSet, isCaptureTime, schemaOf, type Topic } from './schemas.js'
export { type Series, type SeriesKind, seriesKinds } from './series.js'
export type { FileSummary } from './summary.js'
export { readTlog, type TlogDamage, type TlogPacket } from './tlog/reader.js'
export { TlogWriter, tlogRecord } from './tlog/writer.js'
