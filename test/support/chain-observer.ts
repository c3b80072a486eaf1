import { connectMqtt, decodeEnvelope, delivery, everyDrone, parseTopic } from '@kestrel/link'
import { readUpdateHeader } from '@kestrel/models'
import { silentLog } from '@kestrel/runtime'

/** An update that the drone has taken, as seen on the wire. */
export interface Applied {
  version: number
  baseVersion: number
  codec: string
}

export interface ChainObserver {
  applied: Applied[]
  refused: string[]
  /** Versions that status messages reported, in order, with the digest in hex. */
  statuses: { online: boolean; version: number; digest: string }[]
  /** Sentences about anything that contradicts itself; must stay empty. */
  faults: string[]
  segments: number
  close(): Promise<void>
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/**
 * Listens to everything that crosses a broker, as a third party, and checks the version chain: every update that the drone says
 * it applied must have been offered, must build on what the drone flew before, and must end in the digest that its header promised.
 *
 * @param options.isGenuine where others publish too: which messages are to be looked at
 */
export function observeChain(
  url: string,
  options: { isGenuine?: (topic: string, bytes: Uint8Array) => boolean } = {},
): ChainObserver {
  const { isGenuine = () => true } = options
  const connection = connectMqtt({
    url,
    clientId: 'observer',
    log: silentLog,
    // A broker that restarts forgets its sessions: what crosses it before the observer is back is unseen.
    retryMs: { min: 10, max: 50 },
  })
  const headers = new Map<number, ReturnType<typeof readUpdateHeader>>()
  const parts = new Map<string, Uint8Array[]>()
  let flying: { version: number; digest: string } | undefined
  const observer: ChainObserver = {
    applied: [],
    refused: [],
    statuses: [],
    faults: [],
    segments: 0,
    close: () => connection.close(),
  }
  const seen = new Set<string>()
  const onMessage = (topic: string, bytes: Uint8Array) => {
    if (!isGenuine(topic, bytes)) return
    const envelope = decodeEnvelope(bytes)
    if (envelope.payload.case !== delivery[parseTopic(topic)!.what].payload) return
    const id = hex(envelope.id)
    if (seen.has(id)) return
    seen.add(id)
    const { payload } = envelope
    if (payload.case === 'segment') observer.segments++
    if (payload.case === 'update') {
      const { version, part, parts: total, data } = payload.value
      const key = `${version}/${payload.value.baseVersion}`
      const collected = parts.get(key) ?? []
      collected[part] = data.slice()
      parts.set(key, collected)
      if (Object.keys(collected).length >= Math.max(1, total)) {
        headers.set(version, readUpdateHeader(Buffer.concat(Object.values(collected))))
        parts.delete(key)
      }
    }
    if (payload.case === 'updateResult') {
      const { version, applied, reason, modelVersion, modelDigest } = payload.value
      if (!applied) {
        observer.refused.push(reason)
        return
      }
      const header = headers.get(version)
      if (header === undefined) {
        observer.faults.push(`version ${version} was applied but never offered`)
        return
      }
      if (modelVersion !== version) observer.faults.push(`applied ${version}, flies ${modelVersion}`)
      if (hex(header.resultDigest) !== hex(modelDigest)) {
        observer.faults.push(`version ${version} does not have the digest that it promised`)
      }
      if (flying !== undefined && header.codec !== 'checkpoint') {
        if (header.baseVersion !== flying.version || hex(header.baseDigest) !== flying.digest) {
          observer.faults.push(
            `version ${version} builds on ${header.baseVersion}, flown was ${flying.version}`,
          )
        }
      }
      if (flying !== undefined && version <= flying.version) {
        observer.faults.push(`version ${version} came after ${flying.version}`)
      }
      flying = { version, digest: hex(modelDigest) }
      observer.applied.push({ version, baseVersion: header.baseVersion, codec: header.codec })
    }
    if (payload.case === 'status') {
      const { online, modelVersion, modelDigest, rolledBack } = payload.value
      // Going back needs no update.
      if (flying !== undefined && rolledBack.some(digest => hex(digest) === flying!.digest)) {
        flying = { version: modelVersion, digest: hex(modelDigest) }
      }
      observer.statuses.push({ online, version: modelVersion, digest: hex(modelDigest) })
    }
  }
  for (const what of ['status', 'segment', 'update', 'update-result'] as const) {
    void connection.subscribe(everyDrone(what), onMessage).catch(() => {})
  }
  return observer
}
