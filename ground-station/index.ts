export { Access } from './broker/access.js'
export { type Broker, startBroker } from './broker/broker.js'
export { PacketGuard } from './broker/packet-guard.js'
export { clusterSchema } from './cluster/config.js'
export { type Instant, Lease, type LeaseRecord } from './cluster/lease.js'
export type { KeyValue, LeaseStore } from './cluster/lease-store.js'
export { Leases } from './cluster/leases.js'
export { NatsLeases } from './cluster/nats-leases.js'
export { NatsStore } from './cluster/nats-store.js'
export { type Authorize, allowAll, type Denial } from './dashboard/authorize.js'
export { dashboardCommand } from './dashboard/command.js'
export { Dashboard } from './dashboard/dashboard.js'
export { DashboardServer, type MountRoutes } from './dashboard/server.js'
export { TokenAccess } from './dashboard/token-access.js'
export { Drone } from './fleet/drone.js'
export { Gain, gainWeight } from './fleet/gain.js'
export { type FleetOptions, fleetOptionsSchema } from './fleet/options.js'
export { type Need, sharePeriods } from './fleet/periods.js'
export { Scheduler } from './fleet/scheduler.js'
export { pretrainCommand } from './pretrain/command.js'
export { judgeCommand } from './pretrain/judge-command.js'
export { createAuthority, issueCertificate } from './security/certificates.js'
export { type Identity, openIdentity, serverCertificate } from './security/identity.js'
export { pairCommand } from './security/pair-command.js'
export { PairServer } from './security/pair-server.js'
export { pairDrone } from './security/pairing.js'
export { DroneRegistry } from './security/registry.js'
export { Signer } from './security/signer.js'
export { configCommand, startCommand } from './service/commands.js'
export { type GroundConfig, groundConfigSchema, loadGroundConfig } from './service/config.js'
export { describeConfig } from './service/describe-config.js'
export { reportFailure } from './service/failure.js'
export { FlightRecorder } from './service/flight-recorder.js'
export { GroundStation } from './service/ground-station.js'
export type { Job, JobResult, Learner, StudentIdentity } from './service/learner.js'
export {
  type ClassCounts,
  classCounts,
  type FrameScore,
  type LiveView,
  LiveViewer,
  spread,
} from './service/live-view.js'
export type {
  CrossedMessage,
  GroundEvent,
  GroundObserver,
  LogLine,
  PhaseNews,
} from './service/observer.js'
export { type RunningGround, startGround } from './service/start.js'
export { type ModelReport, type ModelVersion, type OutgoingUpdate, UpdateChain } from './session/chain.js'
export {
  coordinateCount,
  largestMagnitudes,
  type Strategy,
  selectCoordinates,
  strategies,
} from './session/coordinates.js'
export { Delivery } from './session/delivery.js'
export { heldOutMiou, holdOutCount, judge } from './session/gate.js'
export { GroundSession } from './session/ground-session.js'
export type { SessionInit } from './session/init.js'
export { labelFrame } from './session/labeller.js'
export {
  type PartialSessionOptions,
  parseSettings,
  readAssignments,
  type SessionOptions,
  sessionOptions,
  sessionOptionsSchema,
} from './session/options.js'
export { PART_BYTES, type UpdatePart, updateParts } from './session/parts.js'
export { type PhaseResult, trainPhase } from './session/phase.js'
export { isLabelled, type LabelledFrame, ReplayBuffer } from './session/replay-buffer.js'
export type { PhaseReport, UpdateAnswer } from './session/report.js'
export { nextSamplingRate } from './session/sampling-rate.js'
export { decodeFrames, encodeFrames, SavedFrames } from './session/saved-frames.js'
export { SavedSession } from './session/saved-session.js'
export { decodeState, encodeState, type SessionState } from './session/state.js'
export { FileStore, type Store } from './session/store.js'
export { hasFallen, type LivePair, type LiveScores, liveScores, SwapWatch } from './session/swap-watch.js'
export { nextTrainingRate, type TrainingRate } from './session/training-rate.js'
export { openTeacher } from './teacher/open.js'
export type { FrameReference, Teacher } from './teacher/teacher.js'
export { Adam, type AdamOptions } from './training/adam.js'
export { createEngine } from './training/create-engine.js'
export type { Batch, EngineOptions, Gradients, TrainingEngine } from './training/engine.js'
export { classWeights } from './training/loss/class-weights.js'
export { engineOptionsSchema } from './training/options.js'
