import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificate } from './certificates.js'

/** Wrong tokens after which nobody gets anything any more. A token has 128 random bits, so this is about noise. */
const MAX_WRONG = 50
const MAX_CONNECTIONS = 16

/**
 * Hands credentials out once, to whoever has the token. The address that it makes holds the token and, behind the `#`, the digest of the
 * server's certificate, so that whoever fetches them knows that it talks to this server and to nobody in between.
 */
export class PairServer {
  readonly #server: Server
  readonly #token = randomBytes(16).toString('base64url')
  readonly #fingerprint: string
  readonly #issue: () => string
  #wrong = 0
  #given = false
  readonly #done: Promise<'fetched' | 'abused'>
  #finish: (how: 'fetched' | 'abused') => void = () => {}

  /** @param options.issue makes what is handed out; called at most once */
  constructor(options: { certificate: Certificate; issue: () => string }) {
    const { certificate, issue } = options
    this.#issue = issue
    const { raw } = new X509Certificate(certificate.certificate)
    this.#fingerprint = createHash('sha256').update(raw).digest('base64url')
    this.#done = new Promise(resolve => {
      this.#finish = resolve
    })
    this.#server = createServer(
      {
        key: certificate.key,
        cert: certificate.certificate,
        handshakeTimeout: 5000,
        headersTimeout: 5000,
        requestTimeout: 5000,
        maxHeaderSize: 4096,
      },
      (request, response) => {
        response.setHeader('Cache-Control', 'no-store')
        response.setHeader('Connection', 'close')
        if (request.method !== 'GET' || !this.#isToken(request.url ?? '') || this.#given) {
          response.writeHead(404).end()
          if (++this.#wrong >= MAX_WRONG) this.#finish('abused')
          return
        }
        this.#given = true
        response.setHeader('Content-Type', 'application/json')
        response.end(this.#issue(), () => this.#finish('fetched'))
      },
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.on('tlsClientError', () => {})
  }

  /** @returns the port; 0 takes any free one */
  async start(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  /** What `kestrel-agent pair` is given. A secret until it was used. */
  url(host: string): string {
    const { port } = this.#server.address() as AddressInfo
    return `https://${host.includes(':') ? `[${host}]` : host}:${port}/pair/${this.#token}#${this.#fingerprint}`
  }

  /** Resolves when the credentials were fetched, or too many wrong tokens came. */
  get done(): Promise<'fetched' | 'abused'> {
    return this.#done
  }

  async stop(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  #isToken(path: string): boolean {
    const given = Buffer.from(path)
    const expected = Buffer.from(`/pair/${this.#token}`)
    return given.length === expected.length && timingSafeEqual(given, expected)
  }
}
