// Threads that start beside the flight take `@kestrel/runtime/errors` and `/random` alone: all of this brings zod, yaml and pino, 0.2 s of a core in each.
export { type Clock, RealClock, VirtualClock } from './clock.js'
export { loadConfig, parseConfig } from './config.js'
export { messageOf, UserError } from './errors.js'
export { Incidents } from './incidents.js'
export { createLog, type Log, type LogLevel, type LogLine, observeLog, silentLog } from './log.js'
export { createRng, type Rng, sampleWithoutReplacement, weightedSampleWithoutReplacement } from './random.js'
export { adoptOwner, readSecretFile, writeSecretFile } from './secret-file.js'
export { stopSignal } from './stop-signal.js'
