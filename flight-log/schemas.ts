import { create, type DescFile, type DescMessage, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { EnvelopeSchema, TelemetrySchema, VehicleSchema, type What } from '@kestrel/link'
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

/** Where a message is logged; `/link/<what>` holds envelopes exactly as they crossed the link. */
export type Topic =
  | '/camera/sampled'
  | '/labels/student'
  | '/labels/teacher'
  | '/labels/frozen'
  | '/vehicle/position'
  | '/vehicle/state'
  | '/agent/telemetry'
  | '/agent/traffic'
  | '/learning/phase'
  | '/learning/score'
  | '/events'
  | '/log'
  | `/link/${What}`

const schemas: Record<Exclude<Topic, `/link/${What}`>, DescMessage> = {
  '/camera/sampled': CompressedVideoSchema,
  '/labels/student': CompressedImageSchema,
  '/labels/teacher': CompressedImageSchema,
  '/labels/frozen': CompressedImageSchema,
  '/vehicle/position': LocationFixSchema,
  '/vehicle/state': VehicleSchema,
  '/agent/telemetry': TelemetrySchema,
  '/agent/traffic': LinkTrafficSchema,
  '/learning/phase': LearningPhaseSchema,
  '/learning/score': LearningScoreSchema,
  '/events': EventSchema,
  '/log': LogSchema,
}

/** What the messages of a topic are. */
export function schemaOf(topic: Topic): DescMessage {
  return topic.startsWith('/link/') ? EnvelopeSchema : schemas[topic as keyof typeof schemas]
}

/**
 * Topics whose time is that of the drone's camera, on both sides: the ground logs what it made of a frame under the moment at which the
 * frame was taken. All others bear the time of whoever logs.
 */
export function isCaptureTime(topic: string): boolean {
  return topic === '/camera/sampled' || topic.startsWith('/labels/') || topic === '/learning/score'
}

/**
 * Topics of one group lie together in chunks: large messages apart, so that curves are read without reading pictures, and those in the
 * camera's time apart, so that a chunk's times are of one clock.
 */
export function chunkGroup(topic: string): string {
  const isLarge = topic.startsWith('/camera/') || topic.startsWith('/labels/') || topic.startsWith('/link/')
  return `${isLarge ? 'large' : 'small'}${isCaptureTime(topic) ? ', of the camera' : ''}`
}

/** The schema record of a message type: a FileDescriptorSet with all that it needs, dependencies first. */
export function descriptorSet(message: DescMessage): Uint8Array {
  const files: DescFile[] = []
  const add = (file: DescFile) => {
    if (files.includes(file)) return
    for (const dependency of file.dependencies) add(dependency)
    files.push(file)
  }
  add(message.file)
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files.map(f => f.proto) }))
}
