import { once } from 'node:events'
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import type { Readers } from './readers.js'

/** Who may connect: on Linux that takes the right to write to the socket (unix(7)). */
export const socketModes = { owner: 0o600, group: 0o660, everyone: 0o666 } as const

/** Longest path of a Unix socket: sun_path has 108 bytes, one of them for the end (unix(7)), and `.new` must fit while it is made. */
const MAX_PATH_BYTES = 107 - '.new'.length

/** What a reader may say from one frame to the next; "next" is one byte. */
const MAX_HEARD_BYTES = 4096

/** Labels on a Unix stream socket: each message after its length. */
export class LabelSocket {
  readonly #path: string
  readonly #mode: number
  readonly #readers: Readers
  readonly #log: Log
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  /** Of the socket file that is ours. */
  #inode: number | undefined

  constructor(options: { path: string; access: keyof typeof socketModes; readers: Readers; log: Log }) {
    this.#path = options.path
    this.#mode = socketModes[options.access]
    this.#readers = options.readers
    this.#log = options.log
  }

  /**
   * A socket file that a crash left behind is replaced; anything else of that name is not.
   *
   * @throws UserError where the path cannot be used
   */
  async start(): Promise<void> {
    const path = this.#path
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
      throw new UserError(
        `output.socket is ${path}: a Unix socket's path has at most ${MAX_PATH_BYTES} bytes; choose a shorter one, such as /run/kestrel/labels.sock`,
      )
    }
    await refuseUnlessStale(path)
    const server = createServer(socket => this.#take(socket))
    try {
      await mkdir(dirname(path), { recursive: true })
      // Under another name until its rights are set, so that nobody can come before; the rename replaces what a crash left.
      await rm(`${path}.new`, { force: true })
      server.listen(`${path}.new`)
      await once(server, 'listening')
      await chmod(`${path}.new`, this.#mode)
      await rename(`${path}.new`, path)
    } catch (cause) {
      server.close()
      throw new UserError(
        `Labels cannot be offered on ${path}: ${messageOf(cause)}; choose another output.socket`,
        { cause },
      )
    }
    server.on('error', error => this.#log.warn(`${path}: ${error.message}`))
    this.#inode = (await lstat(path)).ino
    this.#server = server
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server?.close()
    const found = await lstat(this.#path).catch(() => undefined)
    // A file of another inode belongs to somebody who came after us.
    if (found !== undefined && found.ino === this.#inode) await rm(this.#path, { force: true })
  }

  #take(socket: Socket): void {
    socket.on('error', error => this.#log.debug(`A reader of labels is gone: ${error.message}`))
    if (this.#readers.full) {
      this.#log.warn('A reader of labels was turned away: output.maxReaders are here')
      socket.destroy()
      return
    }
    let heard = 0
    const reader = this.#readers.join({
      send: (message, sent) => {
        socket.write(message, error => {
          heard = 0
          socket.resume()
          if (error == null) sent()
        })
      },
    })
    this.#sockets.add(socket)
    socket.on('data', chunk => {
      heard += chunk.length
      // A flood waits on its own side until the next frame.
      if (heard > MAX_HEARD_BYTES) socket.pause()
      reader.ask()
    })
    // It closed its side: goodbye. Waiting for what is on its way could take for ever.
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#readers.leave(reader)
    })
    socket.write(this.#readers.hello)
  }
}

async function refuseUnlessStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new UserError(
      `output.socket is ${path}: there is something else than a socket of that name; choose another path`,
    )
  }
  if (await answers(path)) {
    throw new UserError(
      `output.socket is ${path}: another program serves it, probably an agent that runs already; stop that one or choose another path`,
    )
  }
}

/** Whether anybody listens on a socket file; after a crash nobody does. */
async function answers(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
