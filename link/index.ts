export {
  type Connection,
  type ConnectionState,
  type MessageHandler,
  PublishDropped,
  type StateHandler,
  type Will,
} from './connection.js'
export {
  Deduplicator,
  decodeEnvelope,
  encodeEnvelope,
  type FullEnvelope,
  ID_BYTES,
  MessageRefused,
  newMessageId,
  type Payload,
  type PayloadInit,
  type RefusalReason,
  SCHEMA_VERSION,
} from './messages.js'
export * from './proto/kestrel_pb.js'
export {
  checkDroneName,
  delivery,
  everyDrone,
  matchesFilter,
  parseTopic,
  topic,
  type What,
} from './topics.js'
