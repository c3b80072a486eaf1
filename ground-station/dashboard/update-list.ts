import type { UpdateResult } from '@kestrel/link'
import type { PhaseNews } from '../service/observer.js'
import type { UpdateRow } from './wire.js'

const MAX_ROWS = 50

/** The chain of versions as people read it: the last updates of a drone and what became of them, newest first. */
export class UpdateList {
  readonly rows: UpdateRow[] = []

  sent({ update, timeMs, holdOutBefore, holdOutAfter }: PhaseNews): void {
    if (update === undefined) return
    const row = this.#row(update.version)
    const holdOut =
      holdOutBefore !== undefined && holdOutAfter !== undefined
        ? { before: holdOutBefore, after: holdOutAfter }
        : undefined
    Object.assign(row, { ...update, sentMs: timeMs, ...(holdOut && { holdOut }) })
  }

  answered({ version, applied, reason, detail }: UpdateResult, nowMs: number): void {
    const row = this.#row(version)
    row.answeredMs = nowMs
    if (applied) this.flies(version)
    else if (reason !== 'not-newer') {
      row.state = 'refused'
      row.reason = detail === '' ? reason : `${detail} (${reason})`
    }
  }

  /** The drone flies this version now. */
  flies(version: number): void {
    for (const row of this.rows) {
      if (row.version === version) Object.assign(row, { state: 'flies', reason: undefined })
      else if (row.state === 'flies') row.state = row.version < version ? 'flown' : 'rolled-back'
    }
  }

  /** The drone went back to this version: what came after it is not flown again. */
  wentBack(version: number): void {
    for (const row of this.rows) {
      if (row.version > version && (row.state === 'flies' || row.state === 'flown')) row.state = 'rolled-back'
    }
  }

  #row(version: number): UpdateRow {
    const known = this.rows.find(row => row.version === version)
    if (known !== undefined) return known
    const row: UpdateRow = { version, state: 'sent' }
    this.rows.push(row)
    this.rows.sort((a, b) => b.version - a.version)
    this.rows.splice(MAX_ROWS)
    return row
  }
}
