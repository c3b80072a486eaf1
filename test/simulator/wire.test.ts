import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRng, RealClock, silentLog } from '@kestrel/runtime'
import { startAutopilot } from '@kestrel/simulator'
import { SerialPort } from 'serialport'
import { test } from 'tap'
import { plugCable } from '../support/cable.js'
import { buildFrame, crc16, frameAround, messages, parseFrame } from '../support/mavlink.js'
import { listenTo } from './ear.js'
import { home, plan } from './flights.js'
import { GroundStation } from './ground-station.js'

const flight = plan()
const askForHome = buildFrame('COMMAND_LONG', {
  target_system: 1,
  target_component: 1,
  command: 512,
  param1: 242,
})

test('Rubbish on the wire is passed over: what is asked afterwards is answered', async t => {
  const { autopilot, ears, flyTo } = await listenTo(flight)
  const [ear] = ears
  const rng = createRng('rubbish')
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => rng.int(256)))
  let asked = 0
  for (let round = 0; round < 300; round++) {
    const rubbish = noise(rng.int(600))
    if (round % 3 === 0) rubbish.fill(0xfd, 0, rng.int(rubbish.length + 1))
    if (round % 3 === 1) rubbish.fill(0xfe, 0, rng.int(rubbish.length + 1))
    ear.say(rubbish)
    const broken = Buffer.from(askForHome)
    broken[rng.int(broken.length)] ^= 1 << rng.int(8)
    ear.say(broken)
    // Rubbish may end in what looks like a long frame, which swallows what follows until it is complete: fill it up.
    ear.say(Buffer.alloc(300))
    const before = ear.named('HOME_POSITION').length
    for (const byte of askForHome) ear.say(Buffer.of(byte))
    if (ear.named('HOME_POSITION').length === before + 1) asked++
  }
  t.equal(asked, 300)
  await flyTo(5)
  t.ok(ear.named('HEARTBEAT').length >= 5)
  await autopilot.stop()
})

test('Any content of any message is met without a crash, by whole frames only', async t => {
  const { autopilot, ears, flyTo } = await listenTo(flight)
  const [ear] = ears
  const rng = createRng('content')
  for (let round = 0; round < 4000; round++) {
    const all = [...messages.values()]
    const definition = all[rng.int(all.length)]
    const payload = Buffer.alloc(definition.fullLength)
    const style = rng.int(4)
    for (let i = 0; i < payload.length; i++)
      payload[i] = style === 0 ? 0xff : style === 1 ? 0x7f : rng.int(256)
    // Half of them addressed to us: as fields of that name say.
    for (const { name, offset } of definition.fields) {
      if ((name === 'target_system' || name === 'target_component') && round % 4 !== 0) payload[offset] = 1
      if (definition.name.startsWith('COMMAND_') && name === 'command' && round % 2 === 0) {
        payload.writeUInt16LE([11, 176, 400, 410, 510, 511, 512, 520][rng.int(8)], offset)
      }
    }
    ear.say(frameAround(definition, payload))
    if (round % 400 === 0) await flyTo(round / 400)
  }
  // Ear has parsed every answer.
  t.ok(ear.named('COMMAND_ACK').length > 100)
  const before = ear.named('HOME_POSITION').length
  ear.say(askForHome)
  t.equal(ear.named('HOME_POSITION').length, before + 1)
  await autopilot.stop()
})

test('MAVLink 1 requests and signed frames are understood too', async t => {
  const { autopilot, ears } = await listenTo(flight)
  const [ear] = ears
  // COMMAND_LONG in a MAVLink 1 frame: six bytes of header, no truncation.
  const payload = Buffer.alloc(33)
  payload.writeFloatLE(242, 0)
  payload.writeUInt16LE(512, 28)
  payload.set([1, 1], 30)
  const v1 = Buffer.concat([Buffer.of(0xfe, 33, 0, 255, 190, 76), payload, Buffer.alloc(2)])
  v1.writeUInt16LE(crc16(Buffer.of(messages.get(76)!.crcExtra), crc16(v1.subarray(1, 39))), 39)
  ear.say(v1)
  t.equal(ear.named('HOME_POSITION').length, 1)
  const signed = Buffer.concat([askForHome, Buffer.alloc(13, 7)])
  signed[2] = 1
  const end = 10 + signed[1]
  signed.writeUInt16LE(crc16(Buffer.of(messages.get(76)!.crcExtra), crc16(signed.subarray(1, end))), end)
  ear.say(signed)
  t.equal(ear.named('HOME_POSITION').length, 2)
  ear.say(askForHome)
  t.equal(ear.named('HOME_POSITION').length, 3, 'nothing of the signature is left')
  await autopilot.stop()
})

function isWhole(frame: Buffer): boolean {
  try {
    parseFrame(frame)
    return true
  } catch {
    return false
  }
}

test('A serial line, lost and found again', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-serial-'))
  const [ours, theirs] = [join(folder, 'autopilot'), join(folder, 'companion')]
  const plug = () => plugCable(ours, theirs)
  let cable = plug()
  const autopilot = await startAutopilot({
    flight,
    home,
    clock: new RealClock(),
    log: silentLog,
    listen: { serial: { path: ours } },
  })
  t.teardown(async () => {
    await autopilot.stop()
    cable.close()
    rmSync(folder, { recursive: true })
  })
  for (const round of ['first', 'second']) {
    const port = new SerialPort({ path: theirs, baudRate: 115_200, autoOpen: false })
    await new Promise<void>((resolve, reject) => port.open(error => (error ? reject(error) : resolve())))
    const station = new GroundStation(
      bytes => port.write(bytes),
      () => port.close(),
    )
    let pending = Buffer.alloc(0)
    port.on('data', (bytes: Buffer) => {
      // A serial line is joined in the middle of a frame: look for the first one.
      pending = Buffer.concat([pending, bytes])
      for (;;) {
        const at = pending.indexOf(0xfd)
        if (at < 0) return
        pending = pending.subarray(at)
        if (pending.length < 12 || pending.length < pending[1] + 12) return
        const frame = pending.subarray(0, pending[1] + 12)
        const isFrame = isWhole(frame)
        if (isFrame) station.hear(frame)
        pending = pending.subarray(isFrame ? frame.length : 1)
      }
    })
    // As ground stations do where nothing is certain to arrive: ask again until there is an answer.
    const answered = station.command(512, [148])
    while ((await Promise.race([answered, sleep(500)])) === undefined) void station.command(512, [148])
    t.equal(await answered, 0, `answers over the ${round} cable`)
    await station.next('HEARTBEAT')
    if (round === 'first') {
      cable.close()
      // What reads only may not notice that the cable is gone: the library reads again where there is nothing.
      if (port.isOpen) port.close(() => {})
      cable = plug()
    } else port.close()
  }
})
