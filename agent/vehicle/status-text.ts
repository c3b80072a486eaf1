import { message } from '@kestrel/link/mavlink'
import { common } from 'mavlink-mappings'

const CHUNK = 50
const MOST_CHUNKS = 4
/** A state that does not last this long is not announced, ms. */
const STABLE_MS = 1000
/** Between two announcements of the same matter, ms: a link that comes and goes does not flood the pilot's screen. */
const LEAST_MS = 5000

/**
 * STATUSTEXT (#253), in chunks of 50 characters where it is longer: `id` (not 0) and `chunk_seq` join them, and a last chunk that is full is
 * followed by an empty one, since the text ends with a null character or a chunk that is not full.
 */
export function statusText(text: string, severity: common.MavSeverity, id: number): common.StatusText[] {
  // The field is for printable ASCII; some ground stations show UTF-8, none shows half a character.
  const plain = text
    .normalize('NFKD')
    .replace(/[^\x20-\x7e]/g, '')
    .slice(0, CHUNK * MOST_CHUNKS - 1)
  if (plain.length <= CHUNK)
    return [message(common.StatusText, { severity, text: plain, id: 0, chunkSeq: 0 })]
  const count = Math.floor(plain.length / CHUNK) + 1
  return Array.from({ length: count }, (_, chunkSeq) =>
    message(common.StatusText, {
      severity,
      text: plain.slice(chunkSeq * CHUNK, (chunkSeq + 1) * CHUNK),
      id,
      chunkSeq,
    }),
  )
}

interface Matter {
  /** What was said last. */
  said?: string
  saidMs: number
  pending?: { text: string; severity: common.MavSeverity; sinceMs: number }
}

/** Says each change of state once, in messages that begin with the name of who speaks. */
export class Announcer {
  readonly #send: (data: common.StatusText) => void
  readonly #matters = new Map<string, Matter>()
  #id = 0

  constructor(send: (data: common.StatusText) => void) {
    this.#send = send
  }

  /**
   * What holds from now on in this matter. It is said once it has lasted a second, unless it was what was said last.
   *
   * @param matter such as `link`; a few fixed ones
   */
  state(matter: string, text: string, severity: common.MavSeverity, nowMs: number): void {
    const known = this.#matters.get(matter) ?? { saidMs: Number.NEGATIVE_INFINITY }
    this.#matters.set(matter, known)
    if (known.pending?.text === text) return
    known.pending = known.said === text ? undefined : { text, severity, sinceMs: nowMs }
  }

  /** What was taken as said without being worth a word: the state at the beginning. */
  assume(matter: string, text: string): void {
    this.#matters.set(matter, { said: text, saidMs: Number.NEGATIVE_INFINITY })
  }

  /** Says something that happened, at once. */
  event(text: string, severity: common.MavSeverity): void {
    this.#id = (this.#id % 0xffff) + 1
    for (const chunk of statusText(`Kestrel: ${text}`, severity, this.#id)) this.#send(chunk)
  }

  /** To be called a few times a second. */
  tick(nowMs: number): void {
    for (const matter of this.#matters.values()) {
      const { pending, saidMs } = matter
      if (pending === undefined || nowMs - pending.sinceMs < STABLE_MS || nowMs - saidMs < LEAST_MS) continue
      Object.assign(matter, { said: pending.text, saidMs: nowMs, pending: undefined })
      this.event(pending.text, pending.severity)
    }
  }
}

/** Joins the chunks of long STATUSTEXTs. */
export class StatusTexts {
  #id = 0
  #parts: string[] = []

  /** @returns the text, once it is complete */
  add({ id, chunkSeq, text }: common.StatusText): string | undefined {
    const plain = text.replace(/\0.*$/s, '')
    // ArduPilot's and PX4's older firmware knows no chunks: both fields are 0.
    if (id === 0) return plain
    if (id !== this.#id || chunkSeq === 0) this.#parts = []
    this.#id = id
    this.#parts[chunkSeq] = plain
    if (plain.length === CHUNK && chunkSeq < 255) return undefined
    const whole = this.#parts.join('')
    this.#parts = []
    return whole
  }
}
