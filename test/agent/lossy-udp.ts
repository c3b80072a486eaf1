import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createRng } from '@kestrel/runtime'

/** Stands between one who speaks first and a UDP port, and loses datagrams. */
export interface LossyUdp {
  readonly port: number
  readonly lost: { there: number; back: number }
  stop(): void
}

/** @param share of the datagrams, 0..1, that are lost in each direction, heartbeats among them */
export async function lossyUdp(target: number, share: number, seed: string): Promise<LossyUdp> {
  const rng = createRng(seed)
  const front = createSocket('udp4').bind(0, '127.0.0.1')
  const rear = createSocket('udp4').bind(0, '127.0.0.1')
  await Promise.all([once(front, 'listening'), once(rear, 'listening')])
  const lost = { there: 0, back: 0 }
  let speaker: number | undefined
  front.on('message', (bytes, { port }) => {
    speaker = port
    if (rng.float() < share) lost.there++
    else rear.send(bytes, target, '127.0.0.1')
  })
  rear.on('message', bytes => {
    if (rng.float() < share) lost.back++
    else if (speaker !== undefined) front.send(bytes, speaker, '127.0.0.1')
  })
  return {
    port: front.address().port,
    lost,
    stop: () => {
      front.close()
      rear.close()
    },
  }
}
