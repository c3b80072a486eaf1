import type { Status, Telemetry, UpdateResult } from '@kestrel/link'
import type { LiveView } from '../service/live-view.js'
import type { CrossedMessage, GroundEvent, PhaseNews } from '../service/observer.js'
import { boardOf, positionOf, telemetryOf, vehicleOf } from './read-telemetry.js'
import { Traffic } from './traffic.js'
import { UpdateList } from './update-list.js'
import type { DroneState, Row, UpdateRow } from './wire.js'

/** Rows of the history that are kept, one a second: half an hour. */
export const HISTORY_ROWS = 1800
const ROW_MS = 1000
const TRAFFIC_MS = 30_000
/** A page may still ask for the view before while it learns of the next. */
const MAX_VIEWS = 3
/** An mIoU that is older stands for nothing any more, ms. */
const STALE_MS = 90_000

/** What the dashboard knows of one drone: its state now, and its last half hour. */
export class DroneLive {
  /** Counts changes of the state, and of the list of updates. */
  revision = 0
  updatesRevision = 0
  readonly views: { id: number; view: LiveView }[] = []
  readonly #state: DroneState
  readonly #rows: Row[] = []
  readonly #updates = new UpdateList()
  readonly #up = new Traffic(TRAFFIC_MS)
  readonly #down = new Traffic(TRAFFIC_MS)
  #rowsEver = 0
  #lastRowMs = Number.NEGATIVE_INFINITY
  #viewId = 0

  constructor(name: string, nowMs: number) {
    this.#state = {
      name,
      online: false,
      student: '',
      software: '',
      modelVersion: 0,
      heardMs: nowMs,
      upKbps: 0,
      downKbps: 0,
    }
  }

  state(nowMs: number): DroneState {
    return { ...this.#state, upKbps: this.#up.kbps(nowMs), downKbps: this.#down.kbps(nowMs) }
  }

  get updates(): UpdateRow[] {
    return this.#updates.rows
  }

  /** How many rows there ever were; those before the last half hour are gone. */
  get rowsEver(): number {
    return this.#rowsEver
  }

  /** Rows from number `from` on, as far as they are kept. */
  rowsFrom(from: number): Row[] {
    const first = this.#rowsEver - this.#rows.length
    return this.#rows.slice(Math.max(0, from - first))
  }

  message({ timeMs, direction, bytes }: CrossedMessage): void {
    const traffic = direction === 'up' ? this.#up : this.#down
    traffic.add(timeMs, bytes.length)
    if (direction === 'up') this.#state.heardMs = timeMs
    this.revision++
  }

  status({ online, student, software, modelVersion, flight }: Status, refusal: string | undefined): void {
    const state = this.#state
    if (online) {
      if (modelVersion < state.modelVersion) this.#updates.wentBack(modelVersion)
      Object.assign(state, { student, software, modelVersion, flight: flight || undefined })
      this.#updates.flies(modelVersion)
      this.updatesRevision++
    }
    state.online = online
    state.refusal = refusal
    this.revision++
  }

  /** @returns what changed about the vehicle, as events */
  telemetry(telemetry: Telemetry, nowMs: number): Omit<GroundEvent, 'timeMs'>[] {
    const state = this.#state
    const before = state.vehicle
    state.online = true
    state.telemetry = telemetryOf(telemetry, nowMs)
    state.modelVersion = telemetry.modelVersion
    state.flight = telemetry.flight || undefined
    state.vehicle = vehicleOf(telemetry.vehicle)
    state.board = boardOf(telemetry.board)
    const { learning } = telemetry
    state.learning = learning && {
      paused: learning.paused,
      minFps: learning.minFps,
      maxFps: learning.maxFps,
      holds: learning.holds,
    }
    this.revision++
    // Telemetry comes about once a second; a row for each, and a hole where there was none.
    if (nowMs - this.#lastRowMs >= 0.5 * ROW_MS) this.#addRow(telemetry, nowMs)
    return vehicleNews(before, state.vehicle)
  }

  phase(news: PhaseNews): void {
    const { phase, timeMs, phi, samplingFps, updatePeriodS, loss, iterations, sent, reason, durationMs } =
      news
    this.#state.phase = {
      ...{ phase, timeMs, phi, samplingFps, updatePeriodS, iterations, sent, reason, durationMs },
      ...(Number.isFinite(loss) && { loss }),
    }
    if (news.update !== undefined) {
      this.#updates.sent(news)
      this.updatesRevision++
    }
    this.revision++
  }

  updateResult(result: UpdateResult, nowMs: number): void {
    this.#updates.answered(result, nowMs)
    if (result.applied) this.#state.modelVersion = result.version
    this.updatesRevision++
    this.revision++
  }

  view(view: LiveView, nowMs: number): void {
    const id = ++this.#viewId
    this.views.push({ id, view })
    if (this.views.length > MAX_VIEWS) this.views.shift()
    const { captureMs, modelVersion, picture, window } = view
    const { width, height } = picture
    this.#state.view = { id, captureMs, modelVersion, width, height }
    if (Number.isFinite(window.adapting) && Number.isFinite(window.frozen)) {
      this.#state.miou = { ...window, timeMs: nowMs }
    }
    this.revision++
  }

  #addRow(telemetry: Telemetry, nowMs: number): void {
    const { miou, phase, vehicle, board } = this.#state
    const fresh = miou !== undefined && nowMs - miou.timeMs < STALE_MS ? miou : undefined
    const row: Row = [
      nowMs / 1000,
      digits(fresh?.adapting, 4),
      digits(fresh?.frozen, 4),
      // Nothing is sampled while it is held.
      digits(telemetry.learning?.holds.length ? 0 : telemetry.samplingFps, 3),
      digits(phase?.phi, 3),
      digits(this.#up.kbps(nowMs), 1),
      digits(this.#down.kbps(nowMs), 1),
      digits(telemetry.fps, 1),
      digits(telemetry.latencyP50Ms, 1),
      digits(telemetry.latencyP99Ms, 1),
      digits(board?.temperatureC, 1),
      digits(board?.cpu, 3),
      digits(vehicle?.batteryPercent, 0),
      digits(vehicle?.batteryV, 2),
      ...positionOf(telemetry.vehicle),
    ]
    const gap = nowMs - this.#lastRowMs > 5 * ROW_MS && this.#rowsEver > 0
    if (gap) this.#push(row.map((_, i) => (i === 0 ? this.#lastRowMs / 1000 + 1 : null)))
    this.#push(row)
    this.#lastRowMs = nowMs
  }

  #push(row: Row): void {
    this.#rows.push(row)
    this.#rowsEver++
    if (this.#rows.length > HISTORY_ROWS) this.#rows.shift()
  }
}

function vehicleNews(
  before: DroneState['vehicle'],
  now: DroneState['vehicle'],
): Omit<GroundEvent, 'timeMs'>[] {
  const news: Omit<GroundEvent, 'timeMs'>[] = []
  const tell = (text: string, severity: GroundEvent['severity'] = 'info') =>
    news.push({ type: 'vehicle', text, severity })
  if (now === undefined || before === undefined) return news
  if (before.connected !== now.connected)
    tell(
      now.connected ? `The autopilot is heard: ${now.kind}` : 'The autopilot is not heard any more',
      now.connected ? 'info' : 'warning',
    )
  if (!now.connected) return news
  if (before.armed !== now.armed) tell(now.armed ? 'Armed' : 'Disarmed')
  if (before.mode !== now.mode && now.mode !== '') tell(`Mode ${now.mode}`)
  return news
}

function digits(value: number | undefined, count: number): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Number(value.toFixed(count))
}
