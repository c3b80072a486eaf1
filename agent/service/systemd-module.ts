import type { Clock } from '@kestrel/runtime'
import type { Module } from './modules.js'
import type { Notify } from './notify.js'

/** The status line changes at most this often, ms. */
const STATUS_MS = 5000

/** How long the service manager waits on for a camera that is away by plan, µs. */
const EXTEND_US = 30_000_000

/**
 * Tells systemd how the agent does (sd_notify(3)). Its watchdog is fed by the loop that labels frames and by nothing else: a student
 * or a main thread that hangs starves it, however well the rest lives. While the camera is away by plan, that same loop feeds it
 * from its wait.
 */
export class SystemdModule implements Module {
  readonly name = 'systemd'
  readonly #notify: Notify
  readonly #feedMs: number | undefined
  readonly #status: () => string
  readonly #clock: Clock
  #ready = false
  #fedMs = -Infinity
  #statusMs = -Infinity
  #lastStatus = ''

  /**
   * @param options.watchdogMs WatchdogSec= of the unit; undefined where it has none
   * @param options.status one line on how the flight goes
   */
  constructor(options: {
    notify: Notify
    watchdogMs: number | undefined
    status: () => string
    clock: Clock
  }) {
    this.#notify = options.notify
    // sd_watchdog_enabled(3) advises half of it; a quarter leaves room for one long frame.
    this.#feedMs = options.watchdogMs && options.watchdogMs / 4
    this.#status = options.status
    this.#clock = options.clock
  }

  start(): void {}

  /** Stops first of all modules. */
  stop(): void {
    this.#notify('STOPPING=1', 'STATUS=Stopping')
  }

  /** A frame has been labelled. */
  labelled(): void {
    const messages = this.#ready ? [] : ['READY=1']
    this.#ready = true
    this.#send(messages, this.#status)
  }

  /**
   * The loop waits for a frame.
   *
   * @param trouble why none can come, where the camera knows and waits for itself to come back; one that should send and does not
   *   starves the watchdog
   */
  waiting(trouble: string | undefined): void {
    if (trouble === undefined) return
    this.#send(this.#ready ? [] : [`EXTEND_TIMEOUT_USEC=${EXTEND_US}`], () => trouble)
  }

  #send(messages: string[], status: () => string): void {
    const nowMs = this.#clock.nowMs()
    if (this.#ready && this.#feedMs !== undefined && nowMs - this.#fedMs >= this.#feedMs) {
      messages.push('WATCHDOG=1')
      this.#fedMs = nowMs
    }
    if (messages.includes('READY=1') || nowMs - this.#statusMs >= STATUS_MS) {
      this.#statusMs = nowMs
      // One line: a newline would begin another message.
      const line = status().replaceAll(/\s+/g, ' ')
      if (line !== this.#lastStatus) messages.push(`STATUS=${line}`)
      this.#lastStatus = line
    }
    if (messages.length > 0) this.#notify(...messages)
  }
}

/** WatchdogSec= as systemd hands it over (sd_watchdog_enabled(3)), ms; undefined where it is not meant for this process. */
export function watchdogMs(env: NodeJS.ProcessEnv = process.env, pid = process.pid): number | undefined {
  const us = Number(env.WATCHDOG_USEC)
  const meant = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid
  return meant && us > 0 ? us / 1000 : undefined
}
