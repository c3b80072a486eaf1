import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { GROUND_NAME } from '@kestrel/link'
import { adoptOwner, messageOf, readSecretFile, UserError, writeSecretFile } from '@kestrel/runtime'
import { type Certificate, createAuthority, issueCertificate } from './certificates.js'

const files = { key: 'authority.key', certificate: 'authority.crt', signing: 'signing.key' } as const

/** Who this ground station is: the authority behind its certificates, and the key that signs what drones are told. */
export interface Identity {
  /** Holds all of it, and what belongs to it. */
  folder: string
  authority: Certificate
  /** Ed25519. */
  signingKey: KeyObject
  /** PEM, for drones to pin. */
  publicKey: string
}

/**
 * Opens the identity in a folder, and makes it where there is none.
 *
 * @throws UserError where it is damaged, open to other users, or cannot be made
 */
export async function openIdentity(folder: string): Promise<Identity> {
  if (!existsSync(folder)) await create(folder)
  const read = (name: string) =>
    readSecretFile(join(folder, name), "A key of this ground station's identity").toString('utf8')
  const authority = { key: read(files.key), certificate: read(files.certificate) }
  try {
    const signingKey = createPrivateKey(read(files.signing))
    if (signingKey.asymmetricKeyType !== 'ed25519') throw new Error(`${files.signing} is no Ed25519 key`)
    const certificate = new X509Certificate(authority.certificate)
    if (!certificate.checkPrivateKey(createPrivateKey(authority.key))) {
      throw new Error(`${files.key} does not belong to ${files.certificate}`)
    }
    const publicKey = createPublicKey(signingKey).export({ type: 'spki', format: 'pem' }).toString()
    return { folder, authority, signingKey, publicKey }
  } catch (cause) {
    if (cause instanceof UserError) throw cause
    throw new UserError(
      `The identity of this ground station in ${folder} is damaged (${messageOf(cause)}): bring it back from a copy, or remove the folder and pair every drone again`,
      { cause },
    )
  }
}

/** A certificate for the servers of this process, which no file holds. @param names further names and addresses */
export function serverCertificate({ authority }: Identity, names: string[] = []): Promise<Certificate> {
  return issueCertificate(authority, [...new Set([GROUND_NAME, 'localhost', '127.0.0.1', '::1', ...names])])
}

/** All of it is there, or nothing: two processes may start at once, and the power may go. */
async function create(folder: string): Promise<void> {
  let temporary: string | undefined
  try {
    mkdirSync(dirname(folder), { recursive: true })
    temporary = mkdtempSync(`${folder}.`)
    chmodSync(temporary, 0o700)
    adoptOwner(temporary)
    const authority = await createAuthority('Kestrel ground station')
    const { privateKey } = generateKeyPairSync('ed25519')
    writeSecretFile(join(temporary, files.key), authority.key)
    writeSecretFile(join(temporary, files.certificate), authority.certificate)
    writeSecretFile(join(temporary, files.signing), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    renameSync(temporary, folder)
  } catch (cause) {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true })
    // Another process was first.
    if (existsSync(join(folder, files.signing))) return
    throw new UserError(
      `The identity of this ground station cannot be kept in ${folder}: ${messageOf(cause)}`,
      {
        cause,
      },
    )
  }
}
