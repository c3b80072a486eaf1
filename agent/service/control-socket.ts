import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { messageOf, UserError } from '@kestrel/runtime'

/** A request and its answer are a line of JSON each. */
export interface ControlRequest {
  command: string
}

/** What the agent answers with: a value, or why there is none. */
export type ControlAnswer = { ok: true; value: unknown } | { ok: false; error: string }

export type ControlHandler = (request: ControlRequest) => unknown | Promise<unknown>

/** sun_path of Linux, without its zero byte. */
const MAX_PATH_BYTES = 107
const MAX_REQUEST_BYTES = 4096
const MAX_ANSWER_BYTES = 1 << 20
/** A roll back loads a model first, which takes seconds on a small board. */
const REQUEST_MS = 15_000

/** Where an agent listens: systemd's runtime folder, or beside its state. */
export function controlPath(stateDir: string, env: NodeJS.ProcessEnv = process.env): string {
  return `${env.RUNTIME_DIRECTORY ?? stateDir}/agent.sock`
}

/** Where to look for a running agent from outside: where the service has it, and beside the state; its own place first. */
export function agentSockets(stateDir: string): string[] {
  const sockets = ['/run/kestrel/agent.sock', `${stateDir}/agent.sock`]
  return stateDir === '/var/lib/kestrel' ? sockets : sockets.reverse()
}

/** A local Unix socket on which the running agent answers `kestrel-agent status` and the like. */
export class ControlSocket {
  readonly #path: string
  readonly #handlers: Record<string, ControlHandler>
  readonly #open = new Set<Socket>()
  #server: Server | undefined

  /** @param handlers what answers which command */
  constructor(path: string, handlers: Record<string, ControlHandler>) {
    this.#path = path
    this.#handlers = handlers
  }

  /** @throws UserError where another agent listens there already; Error where the socket cannot be made */
  async start(): Promise<void> {
    if (Buffer.byteLength(this.#path) > MAX_PATH_BYTES) {
      throw new Error(`the path ${this.#path} is too long for a socket: at most ${MAX_PATH_BYTES} bytes`)
    }
    if (await answers(this.#path)) {
      throw new UserError(
        `Another agent runs with the same state (it listens on ${this.#path}): stop it, or give this one a stateDir of its own`,
      )
    }
    mkdirSync(dirname(this.#path), { recursive: true })
    // Left behind by an agent that was killed.
    rmSync(this.#path, { force: true })
    const server = createServer(socket => this.#serve(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.#path, resolve)
    })
    server.on('error', () => undefined)
    // Its owner and group may ask; the runtime folder says who else gets that far.
    chmodSync(this.#path, 0o660)
    this.#server = server
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    for (const socket of this.#open) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.#open.add(socket)
    socket.on('close', () => this.#open.delete(socket))
    socket.on('error', () => undefined)
    socket.setTimeout(REQUEST_MS, () => socket.destroy())
    readLine(socket, MAX_REQUEST_BYTES).then(
      async line => socket.end(`${JSON.stringify(await this.#answer(line))}\n`),
      () => socket.destroy(),
    )
  }

  async #answer(line: string): Promise<ControlAnswer> {
    try {
      const request = JSON.parse(line) as ControlRequest
      const name = request?.command
      if (!Object.hasOwn(this.#handlers, name)) {
        const known = Object.keys(this.#handlers).join(', ')
        return { ok: false, error: `unknown command ${JSON.stringify(name)}: expected one of ${known}` }
      }
      return { ok: true, value: await this.#handlers[name](request) }
    } catch (error) {
      return { ok: false, error: messageOf(error) }
    }
  }
}

/**
 * Asks a running agent.
 *
 * @returns undefined where none runs: there is no socket, or nobody behind it
 * @throws UserError where it may not be asked, or refuses
 */
export async function askAgent(path: string, request: ControlRequest): Promise<unknown> {
  const socket = connect(path)
  socket.setTimeout(REQUEST_MS, () => socket.destroy(new Error(`no answer for ${REQUEST_MS / 1000} s`)))
  let line: string
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject)
    })
    socket.write(`${JSON.stringify(request)}\n`)
    line = await readLine(socket, MAX_ANSWER_BYTES)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return undefined
    if (code === 'EACCES') {
      throw new UserError(
        `An agent may run, but you may not ask it (${path}): use sudo, or join its group with "sudo adduser $USER kestrel"`,
      )
    }
    throw new UserError(`The agent behind ${path} does not answer: ${messageOf(error)}`, { cause: error })
  } finally {
    socket.destroy()
  }
  const answer = JSON.parse(line) as ControlAnswer
  if (!answer.ok) throw new UserError(`The agent says: ${answer.error}`)
  return answer.value
}

/** Whether anybody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    const settle = (up: boolean) => {
      socket.destroy()
      resolve(up)
    }
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}

/** The first line that comes. @throws Error where the other side ends before it, or it is too long */
function readLine(socket: Socket, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', chunk => {
      text += chunk
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
      else if (text.length > maxBytes) reject(new Error(`a line is longer than ${maxBytes} bytes`))
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('it hung up')))
  })
}
