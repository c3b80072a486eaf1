import { fork } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import type { EncoderKind } from '@kestrel/link'
import { messageOf } from '@kestrel/runtime'
import type { SegmentCodec } from './encoding.js'

/** In the order in which they are tried. */
export const hardwareKinds = ['nvenc', 'vaapi', 'v4l2m2m'] as const
type HardwareKind = (typeof hardwareKinds)[number]

/** How long a trial may take, ms: a driver that hangs is no use. */
const TRIAL_MS = 20_000

export interface EncoderChoice {
  kind: EncoderKind
  /** One line for the log: what encodes, and why not something else. */
  reason: string
}

export interface ChoiceOptions {
  codec: SegmentCodec
  /** `auto`, or the one that is wanted. */
  wanted: 'auto' | EncoderKind
  /** Whether there is a device that may have this encoder. */
  present?: (kind: HardwareKind) => boolean
  /** Encodes a few pictures and looks at them. @throws Error with the reason why not */
  trial?: (codec: SegmentCodec, kind: HardwareKind) => Promise<void>
}

/** Decides what encodes segments: the first hardware encoder that passes a trial, else software. Never throws. */
export async function chooseEncoder(options: ChoiceOptions): Promise<EncoderChoice> {
  const { codec, wanted, present = hasDevice, trial = trialProcess } = options
  if (wanted === 'software') return { kind: 'software', reason: 'software, as configured' }
  const candidates = wanted === 'auto' ? hardwareKinds.filter(present) : [wanted]
  const failures: string[] = []
  for (const kind of candidates) {
    try {
      await trial(codec, kind)
      return { kind, reason: [`${kind}, which passed a trial`, ...failures].join('; ') }
    } catch (error) {
      failures.push(`${kind} does not work: ${messageOf(error)}`)
    }
  }
  const why = candidates.length === 0 ? ['no hardware encoder is there'] : failures
  return { kind: 'software', reason: ['software', ...why].join('; ') }
}

function hasDevice(kind: HardwareKind): boolean {
  const dev = (pattern: RegExp, folder = '/dev') =>
    existsSync(folder) && readdirSync(folder).some(name => pattern.test(name))
  switch (kind) {
    case 'nvenc':
      return existsSync('/dev/nvidiactl')
    case 'vaapi':
      return dev(/^renderD\d+$/, '/dev/dri')
    case 'v4l2m2m':
      return dev(/^video\d+$/)
  }
}

/** In a process of its own: drivers crash and hang, and the agent must do neither. */
function trialProcess(codec: SegmentCodec, kind: HardwareKind): Promise<void> {
  const child = fork(new URL('./encoder-trial.js', import.meta.url), [codec, kind], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    timeout: TRIAL_MS,
    killSignal: 'SIGKILL',
  })
  // Nobody waits for it to end the agent.
  child.unref()
  child.channel?.unref()
  let said: string | undefined
  child.on('message', message => {
    said = String(message)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(said ?? `its trial ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}
