import { type LevelWithSilent, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

/** A log in plain language: a sentence, and figures beside it where they help. */
export interface Log {
  debug(message: string, figures?: Record<string, unknown>): void
  info(message: string, figures?: Record<string, unknown>): void
  warn(message: string, figures?: Record<string, unknown>): void
  error(message: string, figures?: Record<string, unknown>): void
  /** A log of one part, whose lines begin with its name. */
  child(part: string): Log
}

export type LogLevel = LevelWithSilent

/**
 * @param part the name that begins each line, such as `agent`
 * @param options.level least level that is written; `silent` writes nothing
 * @param options.json one JSON object a line, for machines, instead of text for people
 */
export function createLog(part: string, options: { level?: LogLevel; json?: boolean } = {}): Log {
  const { level = 'info', json = false } = options
  const stream = json
    ? undefined
    : pretty({
        sync: true,
        colorize: process.stdout.isTTY,
        ignore: 'pid,hostname,part',
        translateTime: 'SYS:HH:MM:ss',
        messageFormat: '{part}: {msg}',
        singleLine: true,
      })
  return wrap(pino({ level, base: { part } }, stream ?? pino.destination({ sync: true })), part)
}

/** A log that writes nothing, for tests and library callers. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}

function wrap(logger: Logger, part: string): Log {
  return {
    debug: (message, figures = {}) => logger.debug(figures, message),
    info: (message, figures = {}) => logger.info(figures, message),
    warn: (message, figures = {}) => logger.warn(figures, message),
    error: (message, figures = {}) => logger.error(figures, message),
    child: name => wrap(logger.child({ part: `${part}/${name}` }), `${part}/${name}`),
  }
}

/** A line as it was logged. */
export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  /** The names of who speaks, such as `vehicle` or `uplink/encoder`; empty for the whole. */
  part: string
  message: string
}

/** The same log, whose lines are told to somebody else, too, whatever level it shows. */
export function observeLog(log: Log, onLine: (line: LogLine) => void, part = ''): Log {
  const tell =
    (level: LogLine['level']) =>
    (message: string, figures?: Record<string, unknown>): void => {
      log[level](message, figures)
      onLine({ level, part, message })
    }
  return {
    debug: tell('debug'),
    info: tell('info'),
    warn: tell('warn'),
    error: tell('error'),
    child: name => observeLog(log.child(name), onLine, part === '' ? name : `${part}/${name}`),
  }
}
