import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Scaler } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import { AV_PIX_FMT_YUV420P } from 'node-av/constants'
import { Codec, CodecContext, Packet, Rational } from 'node-av/lib'

/** RTP clock of H.264 (RFC 6184, section 8.2.1). */
const CLOCK_HZ = 90_000
const PAYLOAD_TYPE = 96
const MOST_PAYLOAD = 1200

export interface RtspServer {
  url(path?: string): string
  /** Sends one picture, H.264 (one packet after the other, RFC 6184), to all who play. */
  send(nals: Buffer[], timeMs: number): void
  /** How many play. */
  readonly playing: number
  /** Requests so far, such as `SETUP`. */
  readonly requests: string[]
  /** Breaks all connections; the server takes new ones. */
  drop(): void
  close(): Promise<void>
}

interface Client {
  socket: Socket
  session: string
  /** Over TCP in the connection, or to a UDP port. */
  udpPort?: number
  playing: boolean
  sequence: number
}

/** A small RTSP server (RFC 2326) on loopback, as far as a player needs it. */
export async function rtspServer(options: { refuse?: string } = {}): Promise<RtspServer> {
  const clients = new Set<Client>()
  const requests: string[] = []
  const datagrams: Datagrams = createSocket('udp4').bind(0, '127.0.0.1')
  await once(datagrams, 'listening')
  const server = createServer(socket => {
    const client: Client = { socket, session: '12345678', playing: false, sequence: 0 }
    clients.add(client)
    socket.on('error', () => undefined)
    socket.on('close', () => clients.delete(client))
    let text = ''
    socket.on('data', data => {
      // What players send in between as RTCP begins with `$`; requests come whole, one at a time.
      text += data.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end)
        text = text.slice(end + 4)
        const match = /([A-Z_]+) (rtsp:\S+) RTSP\/1\.0([\s\S]*)/.exec(head)
        if (match !== null) answer(client, match[1], match[2], match[3])
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const answer = (client: Client, method: string, url: string, headers: string) => {
    requests.push(method)
    const cseq = /CSeq: *(\d+)/i.exec(headers)?.[1] ?? '0'
    const reply = (status: string, more: string[] = [], body = '') =>
      client.socket.write([`RTSP/1.0 ${status}`, `CSeq: ${cseq}`, ...more, '', body].join('\r\n'))
    if (options.refuse !== undefined) return reply(options.refuse)
    if (method === 'OPTIONS') return reply('200 OK', ['Public: DESCRIBE, SETUP, PLAY, TEARDOWN'])
    if (method === 'DESCRIBE') {
      const sdp = `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP ${PAYLOAD_TYPE}\r\na=rtpmap:${PAYLOAD_TYPE} H264/${CLOCK_HZ}\r\na=fmtp:${PAYLOAD_TYPE} packetization-mode=1\r\na=control:track1\r\n`
      return reply(
        '200 OK',
        [`Content-Base: ${url}/`, 'Content-Type: application/sdp', `Content-Length: ${sdp.length}`],
        sdp,
      )
    }
    const session = `Session: ${client.session};timeout=60`
    if (method === 'SETUP') {
      const ports = /client_port=(\d+)-(\d+)/.exec(headers)
      client.udpPort = ports === null ? undefined : Number(ports[1])
      const own = datagrams.address().port
      const transport =
        ports === null
          ? 'RTP/AVP/TCP;unicast;interleaved=0-1'
          : `RTP/AVP;unicast;client_port=${ports[1]}-${ports[2]};server_port=${own}-${own + 1}`
      return reply('200 OK', [session, `Transport: ${transport}`])
    }
    if (method === 'PLAY') client.playing = true
    return reply('200 OK', [session])
  }

  const packet = (client: Client, payload: Buffer, timestamp: number, marker: boolean) => {
    const rtp = Buffer.alloc(12)
    rtp[0] = 0x80
    rtp[1] = PAYLOAD_TYPE | (marker ? 0x80 : 0)
    rtp.writeUInt16BE(client.sequence++ & 0xffff, 2)
    rtp.writeUInt32BE(timestamp >>> 0, 4)
    rtp.writeUInt32BE(0x1234, 8)
    const whole = Buffer.concat([rtp, payload])
    if (client.udpPort !== undefined) {
      datagrams.send(whole, client.udpPort, '127.0.0.1')
      return
    }
    const frame = Buffer.of(0x24, 0, whole.length >> 8, whole.length & 255)
    client.socket.write(Buffer.concat([frame, whole]))
  }

  return {
    url: (path = 'camera') => `rtsp://127.0.0.1:${port}/${path}`,
    requests,
    get playing() {
      return [...clients].filter(({ playing }) => playing).length
    },
    send(nals, timeMs) {
      const timestamp = Math.round((timeMs * CLOCK_HZ) / 1000)
      for (const client of clients) {
        if (!client.playing) continue
        for (const [i, nal] of nals.entries()) {
          const payloads = payloadsOf(nal)
          for (const [j, payload] of payloads.entries()) {
            packet(client, payload, timestamp, i === nals.length - 1 && j === payloads.length - 1)
          }
        }
      }
    },
    drop() {
      for (const { socket } of clients) socket.destroy()
    },
    async close() {
      for (const { socket } of clients) socket.destroy()
      datagrams.close()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A NAL unit as one packet, or in fragments (FU-A, RFC 6184, section 5.8). */
function payloadsOf(nal: Buffer): Buffer[] {
  if (nal.length <= MOST_PAYLOAD) return [nal]
  const parts: Buffer[] = []
  for (let at = 1; at < nal.length; at += MOST_PAYLOAD) {
    const part = nal.subarray(at, at + MOST_PAYLOAD)
    const start = at === 1 ? 0x80 : 0
    const end = at + MOST_PAYLOAD >= nal.length ? 0x40 : 0
    parts.push(Buffer.concat([Buffer.of((nal[0] & 0xe0) | 28, start | end | (nal[0] & 0x1f)), part]))
  }
  return parts
}

/** The NAL units of each picture, H.264 as a camera encodes it: a key frame every so often, nothing reordered. */
export function h264(images: RgbImage[], options: { keyEvery?: number } = {}): Buffer[][] {
  const { keyEvery = 5 } = options
  const encoder = Codec.findEncoderByName('libx264' as never) as Codec
  const context = new CodecContext()
  const packet = new Packet()
  const scaler = new Scaler()
  context.allocContext3(encoder)
  packet.alloc()
  try {
    context.width = images[0].width
    context.height = images[0].height
    context.pixelFormat = AV_PIX_FMT_YUV420P
    context.timeBase = new Rational(1, 25)
    context.gopSize = keyEvery
    context.threadCount = 1
    for (const [key, value] of Object.entries({
      tune: 'zerolatency',
      crf: '16',
      'x264-params': 'log-level=none:repeat-headers=1',
    })) {
      context.setOption(key, value)
    }
    if (context.open2Sync(encoder, null) < 0) throw new Error('FFmpeg has no libx264')
    const pictures: Buffer[][] = []
    for (const [i, image] of images.entries()) {
      const frame = scaler.toYuv(image)
      frame.pts = BigInt(i)
      context.sendFrameSync(frame)
      frame.free()
      if (context.receivePacketSync(packet) < 0) throw new Error('a picture is held back')
      pictures.push(nalsOf(Buffer.from(packet.data as Buffer)))
      packet.unref()
    }
    return pictures
  } finally {
    packet.free()
    context.freeContext()
    scaler.dispose()
  }
}

/** Cuts an Annex B byte stream at its start codes. */
function nalsOf(bytes: Buffer): Buffer[] {
  const starts: number[] = []
  for (let at = bytes.indexOf('000001', 0, 'hex'); at >= 0; at = bytes.indexOf('000001', at + 3, 'hex'))
    starts.push(at)
  return starts.map((start, i) => {
    const next = starts[i + 1] ?? bytes.length
    const end = i + 1 < starts.length && bytes[next - 1] === 0 ? next - 1 : next
    return bytes.subarray(start + 3, end)
  })
}
