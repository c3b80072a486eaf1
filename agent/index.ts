export { Board, type BoardState } from './board/board.js'
export { CpuMeter, type CpuReading } from './board/cpu.js'
export { type DiskReading, outboxAllowance, readDisk } from './board/disk.js'
export { Governor, type GovernorOptions } from './board/governor.js'
export { type MemoryReading, readMemory } from './board/memory.js'
export { type Ceilings, type Strain, strainOf } from './board/strain.js'
export { SystemFiles } from './board/system-files.js'
export { readThermal, type ThermalReading } from './board/thermal.js'
export { type Throttling, ThrottlingMeter } from './board/throttling.js'
export { type Address, parseAddress } from './camera/address.js'
export { ArrivalClock } from './camera/arrival.js'
export type { Camera, CameraOptions, Frame, Pace } from './camera/camera.js'
export { ExecSource } from './camera/exec.js'
export { LiveCamera } from './camera/live.js'
export type { LivePicture, LiveSource, LiveStream } from './camera/live-source.js'
export { openCamera } from './camera/open.js'
export { RtspSource, withoutPassword, withPasswordFrom } from './camera/rtsp.js'
export { JpegSplitter, RawSplitter } from './camera/splitter.js'
export { type Kernel, type Mapping, SystemError } from './camera/v4l2/kernel.js'
export { listDevices, stableNames } from './camera/v4l2/list.js'
export { describeFormats, type OfferedFormat } from './camera/v4l2/modes.js'
export { chooseMode, type Mode, type WantedMode } from './camera/v4l2/negotiate.js'
export { V4l2Source } from './camera/v4l2/source.js'
export { checkBoard, checkDisk } from './check/board.js'
export { checkVehicle } from './check/vehicle.js'
export { encodeHello, type Hello, LabelEncoder, type Labels, PREFIX_BYTES } from './output/label-message.js'
export { LabelSocket } from './output/label-socket.js'
export { LabelWebSocket } from './output/label-web-socket.js'
export { Reader, Readers } from './output/readers.js'
export { areaNames, clearGround, LabelSummary, type NamedValue } from './output/summary.js'
export { Sampler } from './sampling/sampler.js'
export { type RunningAgent, startAgent } from './service/agent.js'
export { describeCameras, describeTrial, tryCamera } from './service/cameras.js'
export { agentMain } from './service/cli.js'
export { type AgentConfig, agentSchema, loadAgentConfig, parseAgentConfig } from './service/config.js'
export { configHelp } from './service/config-help.js'
export { askAgent, type ControlHandler, ControlSocket } from './service/control-socket.js'
export { GroundTrust } from './service/ground-trust.js'
export { type Connect, LinkModule } from './service/link-module.js'
export { LogModule } from './service/log-module.js'
export { type Notify, openNotify } from './service/notify.js'
export { pairAgent } from './service/pair.js'
export { rollBack } from './service/rollback.js'
export { describeStatus } from './service/status.js'
export type { AgentStatus } from './service/status-module.js'
export { SystemdModule, watchdogMs } from './service/systemd-module.js'
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
export { raisePriority, unstarved } from './student/thread-priority.js'
export {
  type DecodedUpdate,
  inProcessDecoder,
  type UpdateDecoder,
  type WeightState,
} from './student/update-decoder.js'
export { UpdateParts } from './student/update-parts.js'
export { type RadioQuality, UplinkBudget } from './uplink/budget.js'
export { SegmentEncoder } from './uplink/encoder.js'
export { type ChoiceOptions, chooseEncoder } from './uplink/encoder-choice.js'
export type { SegmentCodec, SegmentEncode } from './uplink/encoding.js'
export { Outbox, type OutboxOptions } from './uplink/outbox.js'
export { diskSegmentStore, memorySegmentStore, type SegmentStore } from './uplink/segment-store.js'
export { Segmenter, type SegmenterOptions, sampledSize } from './uplink/segmenter.js'
export { type Attitude, angleBetween, between, turned } from './vehicle/attitude.js'
export { type Autopilot, AutopilotWatch } from './vehicle/autopilot-watch.js'
export { type BoardReadings, type BoardStatus, onboardComputerStatus } from './vehicle/board.js'
export { BootClock } from './vehicle/boot-clock.js'
export { LearningTriggers } from './vehicle/learning-triggers.js'
export { MessageRates } from './vehicle/message-rates.js'
export {
  type CatalogueEntry,
  catalogue,
  filesFor,
  findParameterFile,
  firmwareConfigFolder,
} from './vehicle/params/catalogue.js'
export { needsReboot } from './vehicle/params/comparison.js'
export { encodingOf, type Firmware, identify } from './vehicle/params/firmware.js'
export { openParameterLink, type ParameterLink } from './vehicle/params/link.js'
export {
  formatParameters,
  type ParameterFile,
  parseParameterFile,
  readParameterFile,
} from './vehicle/params/parameter-file.js'
export { decodeValue, encodeValue, fits, paramTypes } from './vehicle/params/value.js'
export { ParametersFailed, vehicleParams } from './vehicle/params/vehicle-params.js'
export type { PilotControls } from './vehicle/pilot.js'
export { Announcer, statusText } from './vehicle/status-text.js'
export { type Pose, type Position, Track } from './vehicle/track.js'
export { Vehicle, type VehicleOptions } from './vehicle/vehicle.js'
export { VehicleState } from './vehicle/vehicle-state.js'
