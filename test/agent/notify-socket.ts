import koffi from 'koffi'
import type { Test } from 'tap'

/** A bound Unix datagram socket, which Node itself does not have, and what came on it. */
export function notifySocket(t: Test, name: string) {
  const libc = koffi.load('libc.so.6')
  const AF_UNIX = 1
  const SOCK_DGRAM = 2
  const MSG_DONTWAIT = 0x40
  const fd: number = libc.func('int socket(int, int, int)')(AF_UNIX, SOCK_DGRAM, 0)
  const address = Buffer.alloc(110)
  address.writeUInt16LE(AF_UNIX, 0)
  const length = 2 + address.write(name.replace(/^@/, '\0'), 2) + (name.startsWith('@') ? 0 : 1)
  t.equal(libc.func('int bind(int, const void *, uint32_t)')(fd, address, length), 0)
  t.teardown(() => libc.func('int close(int)')(fd))
  const receive = libc.func('long recv(int, _Out_ void *, size_t, int)')
  return () => {
    const buffer = Buffer.alloc(4096)
    const bytes = Number(receive(fd, buffer, buffer.length, MSG_DONTWAIT))
    return bytes < 0 ? undefined : buffer.toString('utf8', 0, bytes)
  }
}
