export type { Camera, CameraOptions, Frame, Pace } from './camera/camera.js'
export { openCamera } from './camera/open.js'
export { encodeHello, type Hello, LabelEncoder, type Labels, PREFIX_BYTES } from './output/label-message.js'
export { LabelSocket } from './output/label-socket.js'
export { LabelWebSocket } from './output/label-web-socket.js'
export { Reader, Readers } from './output/readers.js'
export { areaNames, clearGround, LabelSummary, type NamedValue } from './output/summary.js'
export { Sampler } from './sampling/sampler.js'
export { type RunningAgent, startAgent } from './service/agent.js'
export { agentMain } from './service/cli.js'
export { type AgentConfig, agentSchema, loadAgentConfig, parseAgentConfig } from './service/config.js'
export { configHelp } from './service/config-help.js'
export { rollBackStored } from './service/rollback.js'
export {
  type RollBack,
  UpdateApplier,
  type UpdateApplierOptions,
  type WeightStore,
} from './student/applier.js'
export { type CanaryVerdict, judge } from './student/canary.js'
export { DecoderThread } from './student/decoder-thread.js'
export type { Labeller, StudentHost } from './student/host.js'
export { InProcessHost } from './student/in-process-host.js'
export { type LatencySummary, LatencyWindow, percentile } from './student/latency.js'
export { StudentPair } from './student/pair.js'
export { Pipeline, type PipelineOptions } from './student/pipeline.js'
export { diskFiles, type SlotFiles } from './student/slot-files.js'
export { SLOT_HEADER_BYTES, SlotStore } from './student/store.js'
export { unstarved } from './student/thread-priority.js'
export {
  type DecodedUpdate,
  inProcessDecoder,
  type UpdateDecoder,
  type WeightState,
} from './student/update-decoder.js'
export { UpdateParts } from './student/update-parts.js'
export { SegmentEncoder } from './uplink/encoder.js'
export type { SegmentCodec, SegmentEncode } from './uplink/encoding.js'
export { Outbox, type OutboxOptions } from './uplink/outbox.js'
export { diskSegmentStore, memorySegmentStore, type SegmentStore } from './uplink/segment-store.js'
export { Segmenter, type SegmenterOptions, sampledSize } from './uplink/segmenter.js'
