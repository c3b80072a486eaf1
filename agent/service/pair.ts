import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { dirname } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { parseCredentials } from '@kestrel/link'
import { messageOf, UserError, writeSecretFile } from '@kestrel/runtime'
import { checkOwner, loadPairingConfig } from './config.js'

/** More than any credentials have. */
const MAX_BYTES = 65_536
const TIMEOUT_MS = 15_000

/**
 * Stores the credentials of this drone where its agent looks for them.
 *
 * @param source a file of `kestrel-ground pair`, or the address that `--serve` printed
 * @returns what was done, a sentence
 * @throws UserError
 */
export async function pairAgent(source: string, configFile: string): Promise<string> {
  const { drone, credentials: file } = loadPairingConfig(configFile)
  const isAddress = /^https:\/\//i.test(source)
  const text = isAddress ? await fetchCredentials(source) : readText(source)
  // The address is a secret of its own: it does not go into messages.
  const name = isAddress ? 'What the ground station sent' : source
  const credentials = parseCredentials(text, name)
  checkOwner(credentials.drone, drone, { credentials: name, config: configFile })
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeSecretFile(file, text)
  } catch (cause) {
    throw new UserError(
      `The credentials cannot be kept in ${file}: ${messageOf(cause)}; run this as the user that the agent runs as, or with sudo`,
      { cause },
    )
  }
  const rest = isAddress ? '' : ` Remove ${source} now.`
  return `${drone} is paired with the ground station at ${credentials.broker}; its credentials are in ${file}.${rest} Restart the agent.`
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`The credentials cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** Asks only a server that has the certificate whose digest stands in the address: nobody else sees the token. */
async function fetchCredentials(source: string): Promise<string> {
  const url = URL.canParse(source) ? new URL(source) : undefined
  const fingerprint = url?.hash.slice(1)
  if (url === undefined || !/^[\w-]{43}$/.test(fingerprint ?? '')) {
    throw new UserError(
      'That is no whole address of kestrel-ground pair --serve: copy it with what stands behind the #, in quotes',
    )
  }
  try {
    return await new Promise<string>((resolve, reject) => {
      const asking = request(
        url,
        { rejectUnauthorized: false, agent: false, timeout: TIMEOUT_MS },
        response => {
          if (response.statusCode !== 200) {
            reject(
              new Error(
                `it answers ${response.statusCode}: the address was used before, or its time is over`,
              ),
            )
            response.resume()
            return
          }
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            text += chunk
            if (text.length > MAX_BYTES) asking.destroy(new Error('it sends more than credentials have'))
          })
          response.on('end', () => resolve(text))
          response.on('error', reject)
        },
      )
      asking.on('socket', socket => {
        socket.on('secureConnect', () => {
          const { raw } = (socket as TLSSocket).getPeerCertificate()
          const found = createHash('sha256').update(raw).digest('base64url')
          if (found !== fingerprint)
            asking.destroy(new Error('it is not the ground station that made this address'))
          else asking.end()
        })
      })
      asking.on('timeout', () => asking.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)))
      asking.on('error', reject)
    })
  } catch (cause) {
    throw new UserError(`${url.host} gave no credentials: ${messageOf(cause)}`, { cause })
  }
}
