import { MessageRefused } from '../messages.js'

/** How segments are compressed. */
export type SegmentCodec = 'h264' | 'hevc' | 'av1'

/** H.264, Table 7-1: supplemental enhancement information. */
const H264_SEI = 6
/** AV1, section 6.2.2. */
const OBU_TEMPORAL_DELIMITER = 2

/**
 * Cuts an elementary stream into what decodes to one picture each: access units of H.264 and HEVC (Annex B byte
 * streams), temporal units of AV1 (low-overhead OBU stream, section 5.2). The pieces are views and, joined, the whole.
 *
 * @throws MessageRefused when the bytes are no such stream
 */
export function splitPictures(bytes: Uint8Array, codec: SegmentCodec): Uint8Array[] {
  const starts = codec === 'av1' ? temporalUnits(bytes) : accessUnits(bytes, codec)
  if (starts.length === 0) {
    throw new MessageRefused('undecodable', `The segment's video is no ${codec} stream: it holds no picture`)
  }
  return starts.map((start, i) => bytes.subarray(i === 0 ? 0 : start, starts[i + 1]))
}

/** The stream without SEI: libx264 puts 700 bytes of its own settings there, as much as half a picture. */
export function withoutSei(bytes: Uint8Array): Uint8Array {
  const units = nalUnits(bytes)
  const kept = units
    .map(({ start }, i) => bytes.subarray(start, units[i + 1]?.start))
    .filter((_, i) => nals.h264.type(bytes[units[i].header]) !== H264_SEI)
  return Buffer.concat(kept)
}

/**
 * Where access units begin: at the first slice of a picture, or at what stands between it and the slice
 * before (H.264 section 7.4.1.2.3, HEVC section 7.4.2.4.4). Only progressive pictures are sent, so the first bit after
 * the slice's NAL header says whether it is the first: first_mb_in_slice = 0 is coded as `1`, and HEVC's
 * first_slice_segment_in_pic_flag is just that bit.
 */
function accessUnits(bytes: Uint8Array, codec: 'h264' | 'hevc'): number[] {
  const starts: number[] = []
  let pending: number | undefined
  const { type, isSlice, precedes, headerBytes } = nals[codec]
  for (const { start, header } of nalUnits(bytes)) {
    const kind = type(bytes[header])
    const first = header + headerBytes
    if (precedes.has(kind)) pending ??= start
    else if (isSlice(kind)) {
      if (first < bytes.length && (bytes[first] & 0x80) !== 0) starts.push(pending ?? start)
      pending = undefined
    }
  }
  return starts
}

/** Kinds of NAL unit: `precedes` are those that can only stand before a picture's first slice (not, say, HEVC's suffix SEI). */
const nals = {
  h264: {
    headerBytes: 1,
    type: (header: number) => header & 0x1f,
    isSlice: (type: number) => type >= 1 && type <= 5,
    precedes: new Set([6, 7, 8, 9, 14, 15, 16, 17, 18]),
  },
  hevc: {
    headerBytes: 2,
    type: (header: number) => (header >> 1) & 0x3f,
    isSlice: (type: number) => type < 32,
    precedes: new Set([32, 33, 34, 35, 39, 41, 42, 43, 44, 48, 49, 50, 51, 52, 53, 54, 55]),
  },
}

/** The NAL units of an Annex B byte stream: where the start code is and where the header behind it. */
function nalUnits(bytes: Uint8Array): { start: number; header: number }[] {
  const units: { start: number; header: number }[] = []
  for (let i = 0; i + 3 < bytes.length; i++) {
    if (bytes[i + 2] > 1) i += 2
    else if (bytes[i] === 0 && bytes[i + 1] === 0 && bytes[i + 2] === 1) {
      units.push({ start: i > 0 && bytes[i - 1] === 0 ? i - 1 : i, header: i + 3 })
      i += 2
    }
  }
  return units
}

/** Where temporal units begin: at each temporal delimiter (AV1 section 7.5). */
function temporalUnits(bytes: Uint8Array): number[] {
  const starts: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const begin = at
    const header = bytes[at++]
    const type = (header >> 3) & 0x0f
    if ((header & 0x80) !== 0 || (header & 0x02) === 0) throw notObus(begin)
    if ((header & 0x04) !== 0) at += 1
    let size = 0
    for (let shift = 0, more = true; more; shift += 7) {
      if (at >= bytes.length || shift > 28) throw notObus(begin)
      size += (bytes[at] & 0x7f) * 2 ** shift
      more = (bytes[at++] & 0x80) !== 0
    }
    at += size
    if (at > bytes.length) throw notObus(begin)
    if (type === OBU_TEMPORAL_DELIMITER) starts.push(begin)
    else if (starts.length === 0) throw notObus(begin)
  }
  return starts
}

function notObus(at: number): MessageRefused {
  return new MessageRefused('undecodable', `The segment's video is no whole av1 stream (at byte ${at})`)
}

/** Whether a picture can be decoded without those before it: where a clip begins. */
export function isKeyPicture(picture: Uint8Array, codec: SegmentCodec): boolean {
  if (codec === 'av1') return hasSequenceHeader(picture)
  const { type } = nals[codec]
  return nalUnits(picture).some(({ header }) => keyTypes[codec].has(type(picture[header])))
}

/** H.264: an IDR slice; HEVC: BLA, IDR and CRA slices (Table 7-1 of either). */
const keyTypes = { h264: new Set([5]), hevc: new Set([16, 17, 18, 19, 20, 21]) }

/** AV1, section 7.5: a sequence header stands at the beginning of a coded video sequence. */
const OBU_SEQUENCE_HEADER = 1

function hasSequenceHeader(unit: Uint8Array): boolean {
  for (let at = 0; at + 1 < unit.length; ) {
    const header = unit[at++]
    if (((header >> 3) & 0x0f) === OBU_SEQUENCE_HEADER) return true
    if ((header & 0x04) !== 0) at += 1
    let size = 0
    for (let shift = 0, more = true; more && at < unit.length; shift += 7) {
      size += (unit[at] & 0x7f) * 2 ** shift
      more = (unit[at++] & 0x80) !== 0
    }
    at += size
  }
  return false
}
