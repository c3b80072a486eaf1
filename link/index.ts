export { Backoff } from './backoff.js'
export {
  type Connection,
  type ConnectionState,
  type MessageHandler,
  PublishDropped,
  type PublishOptions,
  type StateHandler,
  SubscriptionEnded,
  type Will,
} from './connection.js'
export {
  type BrokerAuth,
  type Credentials,
  GROUND_NAME,
  groundKeyOf,
  isLoopback,
  parseCredentials,
  readCredentials,
} from './credentials.js'
export { Liveness } from './liveness.js'
export { type MemoryBroker, type MemoryConnection, memoryBroker } from './memory-broker.js'
export {
  Deduplicator,
  decodeEnvelope,
  encodeEnvelope,
  type FullEnvelope,
  ID_BYTES,
  MessageRefused,
  mostBytes,
  newMessageId,
  type Payload,
  type PayloadInit,
  type PoseInit,
  type RefusalReason,
  SCHEMA_VERSION,
  type VehicleInit,
} from './messages.js'
export { connectMqtt, type MqttOptions } from './mqtt.js'
export * from './proto/kestrel_pb.js'
export { signEnvelope, verifyEnvelope } from './signature.js'
export {
  checkDroneName,
  delivery,
  everyDrone,
  filtersOverlap,
  matchesFilter,
  parseTopic,
  topic,
  type What,
} from './topics.js'
export { isKeyPicture, type SegmentCodec, splitPictures } from './video/bitstream.js'
export { decodeClip } from './video/clip.js'
export { decodeVideoFile, type VideoFile, type VideoFrame, type VideoProbe } from './video/decode.js'
export type { EncoderKind } from './video/encoder-profile.js'
export { tryEncoder } from './video/encoder-trial.js'
export { encodeJpeg } from './video/jpeg.js'
export { MovieWriter } from './video/movie.js'
export { type NetworkPicture, NetworkStream, type NetworkStreamOptions } from './video/network-stream.js'
export {
  PictureDecoder,
  type PixelFormat,
  pictureBytes,
  pixelFormats,
  type RawPicture,
} from './video/picture.js'
export { Scaler } from './video/scaler.js'
export {
  codecFor,
  type DecodeOptions,
  decodeSegment,
  type EncodeOptions,
  encodeSegment,
} from './video/segment.js'
export { splitSegment, type VideoFormat } from './video/split.js'
export { decodeStill, decodeStillBytes, stillExtensions } from './video/still.js'
