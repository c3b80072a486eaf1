import koffi from 'koffi'

/** Tells the service manager something, such as `READY=1`; several at once are sent as one message (sd_notify(3)). */
export type Notify = (...messages: string[]) => void

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
/** struct sockaddr_un of Linux: a 2-byte family, then the path. */
const PATH_BYTES = 108

/**
 * Node has no datagram sockets of the Unix kind, so the C library's are called: some microseconds a message. Does nothing where
 * no service manager listens. What cannot be sent is lost: the service manager then acts as it would on silence.
 *
 * @param path the value of NOTIFY_SOCKET; a leading @ stands for the abstract name space
 */
export function openNotify(path: string | undefined): Notify {
  if (path === undefined || !/^[/@]/.test(path) || process.platform !== 'linux') return () => undefined
  const name = Buffer.from(path.replace(/^@/, '\0'))
  if (name.length >= PATH_BYTES) return () => undefined
  const libc = koffi.load('libc.so.6')
  const socket = libc.func('int socket(int domain, int type, int protocol)')
  const sendto = libc.func(
    'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)',
  )
  const fd: number = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return () => undefined
  const address = Buffer.alloc(2 + PATH_BYTES)
  address.writeUInt16LE(AF_UNIX, 0)
  name.copy(address, 2)
  // An abstract name ends where the address ends; a path ends with a zero byte.
  const addressLength = 2 + name.length + (path.startsWith('@') ? 0 : 1)
  return (...messages) => {
    const data = Buffer.from(messages.join('\n'))
    // The service manager's queue may be full: never wait for it.
    sendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, addressLength)
  }
}
