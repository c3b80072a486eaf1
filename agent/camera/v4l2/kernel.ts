import { constants as os } from 'node:os'
import koffi from 'koffi'

/** What a V4L2 camera needs of the operating system; a fake one stands in for it in tests. */
export interface Kernel {
  /** @throws SystemError */
  open(path: string): number
  close(fd: number): void
  /** ioctl(2) with a structure that it reads and fills in. @throws SystemError */
  ioctl(fd: number, request: number, argument: Buffer): void
  /** Maps a buffer of the driver into memory; its bytes must not be touched after `unmap`. @throws SystemError */
  map(fd: number, length: number, offset: number): Mapping
  /** Waits off the JS thread until a frame can be fetched (true) or the time is over (false). @throws SystemError when the device is gone */
  waitForFrame(fd: number, timeoutMs: number): Promise<boolean>
}

export interface Mapping {
  bytes: Uint8Array
  unmap(): void
}

/** A system call that failed. */
export class SystemError extends Error {
  override readonly name = 'SystemError'
  /** `ENODEV`, `EBUSY`, … */
  readonly code: string

  constructor(code: string, call: string) {
    super(`${call}: ${code}`)
    this.code = code
  }
}

// open(2), mmap(2), poll(2); the same on x86-64 and arm64.
const O_RDWR = 2
const O_NONBLOCK = 0o4000
const O_CLOEXEC = 0o2000000
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const MAP_FAILED = 0xffff_ffff_ffff_ffffn
const POLLIN = 1
const POLLERR = 8
const POLLHUP = 16

let loaded: Kernel | undefined

/**
 * The system calls through the C library. FFmpeg's own V4L2 input cannot take their place: it blocks in DQBUF where nothing can
 * interrupt it, so that a camera which sends no more frames could be neither closed nor opened again.
 *
 * @throws Error where there is no Linux, or koffi has no binary for this platform
 */
export function linuxKernel(): Kernel {
  return (loaded ??= load())
}

/** Whether cameras can be driven through V4L2 here at all. */
export function hasV4l2(): boolean {
  return process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')
}

function load(): Kernel {
  const libc = koffi.load('libc.so.6')
  const open = libc.func('int open(const char *path, int flags)')
  const close = libc.func('int close(int fd)')
  // Variadic in C; on these platforms the arguments of such a call are passed like any others.
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)')
  const mmap = libc.func('void *mmap(void *at, size_t length, int prot, int flags, int fd, int64_t offset)')
  const munmap = libc.func('int munmap(void *at, size_t length)')
  const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)')
  return {
    open(path) {
      const fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) as number
      if (fd < 0) throw failure(`open ${path}`)
      return fd
    },
    close(fd) {
      close(fd)
    },
    ioctl(fd, request, argument) {
      for (;;) {
        if ((ioctl(fd, request, argument) as number) >= 0) return
        if (koffi.errno() !== os.errno.EINTR) throw failure(`ioctl 0x${request.toString(16)}`)
      }
    },
    map(fd, length, offset) {
      const at = mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, offset) as bigint
      if (at === MAP_FAILED) throw failure('mmap')
      return { bytes: new Uint8Array(koffi.view(at, length)), unmap: () => void munmap(at, length) }
    },
    async waitForFrame(fd, timeoutMs) {
      // struct pollfd: int fd, short events, short revents
      const pollfd = Buffer.alloc(8)
      pollfd.writeInt32LE(fd, 0)
      pollfd.writeInt16LE(POLLIN, 4)
      const count = await new Promise<number>((resolve, reject) => {
        poll.async(pollfd, 1, timeoutMs, (error: Error | null, result: number) =>
          error === null ? resolve(result) : reject(error),
        )
      })
      const events = pollfd.readInt16LE(6)
      if (count > 0 && (events & POLLHUP) !== 0) throw new SystemError('ENODEV', 'poll')
      // An error alone says that nothing streams: DQBUF, which is asked next, says why.
      return count > 0 && (events & (POLLIN | POLLERR)) !== 0
    },
  }
}

function failure(call: string): SystemError {
  const number = koffi.errno()
  const name = Object.entries(os.errno).find(([, value]) => value === number)?.[0]
  return new SystemError(name ?? `errno ${number}`, call)
}
