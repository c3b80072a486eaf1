#!/usr/bin/env node
// Draws the labels of a running kestrel-agent in the terminal, and writes the last ones as a PNG. Needs nothing but Node.js.
//
//   node read-labels.mjs /run/kestrel/labels.sock [--frames N] [--png FILE] [--quiet]
//
// The messages are described in docs/label-output.md.

import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import { deflateSync } from 'node:zlib'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { frames: { type: 'string' }, png: { type: 'string' }, quiet: { type: 'boolean' } },
})
if (positionals.length !== 1) {
  console.error('usage: node read-labels.mjs SOCKET [--frames N] [--png FILE] [--quiet]')
  process.exit(2)
}
const wanted = values.frames === undefined ? Number.POSITIVE_INFINITY : Number(values.frames)

const socket = connect(positionals[0])
let received = Buffer.alloc(0)
let hello
let last
let read = 0

socket.on('error', error => {
  console.error(`${positionals[0]}: ${error.message}`)
  process.exit(1)
})
socket.on('close', () => finish())
socket.on('data', chunk => {
  received = Buffer.concat([received, chunk])
  // Each message follows its length.
  while (received.length >= 4 && received.length >= 4 + received.readUInt32LE(0)) {
    const end = 4 + received.readUInt32LE(0)
    take(received.subarray(4, end))
    received = received.subarray(end)
  }
})

function take(message) {
  if (message.toString('latin1', 0, 4) !== 'KLBL') throw new Error('This is no label socket of Kestrel')
  const type = message.readUInt8(5)
  const body = message.subarray(message.readUInt16LE(6))
  if (type === 1) hello = JSON.parse(body.toString('utf8', 0, message.readUInt32LE(8)))
  if (type === 2) show(readLabels(message, body))
  // "Next, please": from the first such byte on one frame comes for each, always the newest.
  if (read < wanted) socket.write('n')
  else socket.end()
}

function readLabels(message, body) {
  const [width, height] = [message.readUInt16LE(36), message.readUInt16LE(38)]
  const map = Buffer.alloc(width * height)
  const runs = message.readUInt32LE(44)
  let from = 0
  let pixel = 0
  for (let run = 0; run < runs; run++) {
    const label = body[from++]
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = body[from++]
      length |= (byte & 127) << shift
      if (byte < 128) break
    }
    map.fill(label, pixel, pixel + length)
    pixel += length
  }
  return {
    frameId: message.readBigUInt64LE(8),
    captureUs: message.readBigInt64LE(16),
    sequence: message.readUInt32LE(24),
    modelVersion: message.readUInt32LE(28),
    latencyMs: message.readUInt32LE(32) / 1000,
    width,
    height,
    map,
  }
}

function show(labels) {
  read++
  last = labels
  const { frameId, modelVersion, latencyMs, width, height } = labels
  if (!values.quiet) process.stdout.write(`\x1b[H\x1b[2J${draw(labels)}`)
  console.log(
    `frame ${frameId}, ${width}x${height}, model version ${modelVersion}, ${latencyMs.toFixed(1)} ms: ${legend(labels)}`,
  )
}

/** Two pixels a character: the upper half block in one colour on the other. */
function draw({ width, height, map }) {
  const columns = Math.min(width, process.stdout.columns ?? 80)
  const rows = 2 * Math.max(1, Math.floor((columns * height) / width / 2))
  const colour = (column, row) => {
    const x = Math.floor(((column + 0.5) * width) / columns)
    const y = Math.floor(((row + 0.5) * height) / rows)
    return (hello.palette[map[y * width + x]] ?? [0, 0, 0]).join(';')
  }
  let text = ''
  for (let row = 0; row < rows; row += 2) {
    for (let column = 0; column < columns; column++) {
      text += `\x1b[38;2;${colour(column, row)}m\x1b[48;2;${colour(column, row + 1)}m▀`
    }
    text += '\x1b[0m\n'
  }
  return text
}

/** The classes that are to be seen, largest first. */
function legend({ map }) {
  const pixels = new Array(256).fill(0)
  for (const label of map) pixels[label]++
  return hello.classes
    .map((name, label) => ({ name, share: pixels[label] / map.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share)
    .map(({ name, share }) => `${name} ${(100 * share).toFixed(1)} %`)
    .join(', ')
}

function finish() {
  if (last === undefined) {
    console.error('The agent closed the connection before any labels came')
    process.exit(1)
  }
  if (values.png !== undefined) writeFileSync(values.png, encodePng(last, hello.palette))
}

/** A PNG with a palette (https://www.w3.org/TR/png): its pixels are the labels themselves. */
function encodePng({ width, height, map }, palette) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3], 8) // 8 bits, indexed
  const colours = Buffer.alloc(3 * 256)
  palette.forEach((colour, label) => {
    colours.set(colour, 3 * label)
  })
  const rows = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++) map.copy(rows, y * (width + 1) + 1, y * width, (y + 1) * width)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type, data) {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const content = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(content))
  return Buffer.concat([length, content, check])
}

function crc32(data) {
  let crc = 0xffffffff
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}
