/** Cuts a byte stream, which comes in pieces of any length, into pictures. */
export interface Splitter {
  /** The pictures that end in this piece. They own their bytes. */
  push(piece: Uint8Array): Uint8Array[]
  /** Bytes that belonged to no picture. */
  readonly skipped: number
}

/** Pictures of a fixed number of bytes, one behind the other. */
export class RawSplitter implements Splitter {
  readonly skipped = 0
  readonly #size: number
  #picture: Uint8Array
  #filled = 0

  /** @param size bytes of one picture */
  constructor(size: number) {
    this.#size = size
    this.#picture = new Uint8Array(size)
  }

  push(piece: Uint8Array): Uint8Array[] {
    const pictures: Uint8Array[] = []
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + this.#size - this.#filled)
      this.#picture.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled < this.#size) break
      pictures.push(this.#picture)
      this.#picture = new Uint8Array(this.#size)
      this.#filled = 0
    }
    return pictures
  }
}

// Markers of ITU-T T.81, table B.1; each is FF and one of these.
const SOI = 0xd8
const EOI = 0xd9
const SOS = 0xda
const RST0 = 0xd0
const RST7 = 0xd7
const TEM = 0x01

/** No camera's JPEG is larger. */
const MAX_JPEG = 32 * 1024 * 1024

/**
 * JPEGs one behind the other (MJPEG), also with something between them, such as the headers of a multipart stream. Segments are
 * stepped over by their length, so that a thumbnail inside one is not taken for a picture; a picture that was cut short is left
 * out, and the next one is found.
 */
export class JpegSplitter implements Splitter {
  #held = Buffer.alloc(64 * 1024)
  #length = 0
  /** Where the picture that is being read goes on; all before it has been looked at. */
  #at = 0
  #inPicture = false
  /** Between SOS and the next marker other than a restart. */
  #inScan = false
  #skipped = 0

  get skipped(): number {
    return this.#skipped
  }

  push(piece: Uint8Array): Uint8Array[] {
    this.#append(piece)
    const pictures: Uint8Array[] = []
    for (;;) {
      const step = this.#inPicture ? (this.#inScan ? this.#scan() : this.#segment()) : this.#search()
      if (step === 'more') break
      if (step === 'end') {
        pictures.push(Uint8Array.from(this.#held.subarray(0, this.#at)))
        this.#forget(this.#at)
      }
      if (step === 'broken') this.#restart()
    }
    // What has grown beyond all measure was never a picture.
    if (this.#length > MAX_JPEG) this.#restart()
    return pictures
  }

  /** Looks for the beginning of a picture: SOI and the FF of the next marker. */
  #search(): 'more' | 'on' {
    const at = this.#held.subarray(0, this.#length).indexOf(Buffer.of(0xff, SOI, 0xff))
    if (at >= 0) {
      this.#skip(at)
      this.#at = 2
      this.#inPicture = true
      return 'on'
    }
    // The beginning may be cut in two.
    this.#skip(Math.max(0, this.#length - 2))
    return 'more'
  }

  /** One marker, with its segment where it has one. */
  #segment(): 'more' | 'on' | 'end' | 'broken' {
    if (this.#at + 2 > this.#length) return 'more'
    if (this.#held[this.#at] !== 0xff) return 'broken'
    const marker = this.#held[this.#at + 1]
    // Any number of FF may stand before a marker (B.1.1.2).
    if (marker === 0xff) {
      this.#at += 1
      return 'on'
    }
    if (marker === SOI || marker === 0) return 'broken'
    if (marker === EOI) {
      this.#at += 2
      return 'end'
    }
    if (marker === TEM || (marker >= RST0 && marker <= RST7)) {
      this.#at += 2
      return 'on'
    }
    if (this.#at + 4 > this.#length) return 'more'
    const length = this.#held.readUInt16BE(this.#at + 2)
    if (length < 2) return 'broken'
    if (this.#at + 2 + length > this.#length) return 'more'
    this.#at += 2 + length
    this.#inScan = marker === SOS
    return 'on'
  }

  /** Entropy-coded data, in which FF is followed by 00 or is a restart. */
  #scan(): 'more' | 'on' | 'broken' {
    for (;;) {
      const at = this.#held.subarray(0, this.#length).indexOf(0xff, this.#at)
      if (at < 0) {
        this.#at = this.#length
        return 'more'
      }
      this.#at = at
      if (at + 1 >= this.#length) return 'more'
      const marker = this.#held[at + 1]
      if (marker !== 0 && !(marker >= RST0 && marker <= RST7)) {
        this.#inScan = false
        return 'on'
      }
      this.#at += 2
    }
  }

  /** Gives up on the picture begun and looks for another behind its first byte. */
  #restart(): void {
    this.#skip(1)
    this.#at = 0
    this.#inPicture = this.#inScan = false
  }

  #skip(bytes: number): void {
    this.#skipped += bytes
    this.#held.copyWithin(0, bytes, this.#length)
    this.#length -= bytes
  }

  /** The picture has been handed out. */
  #forget(bytes: number): void {
    this.#held.copyWithin(0, bytes, this.#length)
    this.#length -= bytes
    this.#at = 0
    this.#inPicture = this.#inScan = false
  }

  #append(piece: Uint8Array): void {
    const needed = this.#length + piece.length
    if (needed > this.#held.length) {
      const larger = Buffer.alloc(2 ** Math.ceil(Math.log2(needed)))
      this.#held.copy(larger, 0, 0, this.#length)
      this.#held = larger
    }
    this.#held.set(piece, this.#length)
    this.#length = needed
  }
}
