import { SingleBar } from 'cli-progress'

/** Progress of a long run: a bar on a terminal, a plain line about every 10 % elsewhere. Writes to stderr. */
export interface Progress {
  /** Begins a part, such as one scheme, of `total` frames where that is known. */
  start(part: string, total?: number): void
  /** Reports that `done` steps of the part are done. */
  update(done: number): void
  /** Ends the part, where one has begun. */
  end(): void
}

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? barProgress(stream) : lineProgress(line => stream.write(`${line}\n`))
}

/** A progress that says nothing. */
export const silentProgress: Progress = { start() {}, update() {}, end() {} }

function barProgress(stream: NodeJS.WriteStream): Progress {
  let bar: SingleBar | undefined
  return {
    start(part, total) {
      bar = new SingleBar({
        format:
          total === undefined
            ? `${part.padEnd(18)} {value} frames, {duration_formatted}`
            : `${part.padEnd(18)} {bar} {percentage} %  {value}/{total} frames  {eta_formatted} left`,
        barCompleteChar: '█',
        barIncompleteChar: '░',
        hideCursor: true,
        stream,
      })
      bar.start(total ?? 0, 0)
    },
    update: done => bar?.update(done),
    end() {
      bar?.stop()
      bar = undefined
    },
  }
}

/** One line at the start, then about every 10 %, or every 100 frames where nobody knows how many there will be. */
export function lineProgress(write: (line: string) => void): Progress {
  let name = ''
  let total: number | undefined
  let reached = 0
  return {
    start(part, frames) {
      name = part
      total = frames
      reached = 0
      write(total === undefined ? name : `${name}: ${total} frames`)
    },
    update(done) {
      const step = Math.floor(total === undefined ? done / 100 : (10 * done) / total)
      if (step <= reached) return
      reached = step
      write(
        total === undefined
          ? `${name}: ${done} frames`
          : `${name}: ${10 * step} % (${done} of ${total} frames)`,
      )
    },
    end() {},
  }
}
