import { readFileSync } from 'node:fs'
import { type Attitude, angleBetween, BootClock, between, Track, turned, VehicleState } from '@kestrel/agent'
import { FrameReader } from '@kestrel/link/mavlink'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import { common } from 'mavlink-mappings'
import { test } from 'tap'
import { needs, sharedPath } from '../support/shared.js'

const { PI, abs } = Math
const angle = fc.double({ min: -PI, max: PI, noNaN: true })
const pitch = fc.double({ min: -1.5, max: 1.5, noNaN: true })
const attitude = fc.record({ roll: angle, pitch, yaw: angle })
const share = fc.double({ min: 0, max: 1, noNaN: true })

/** Rotation from body to north-east-down, row by row from the definition: yaw, then pitch, then roll. */
function matrix({ roll, pitch, yaw }: Attitude): number[][] {
  const [cr, sr, cp, sp, cy, sy] = [roll, pitch, yaw].flatMap(a => [Math.cos(a), Math.sin(a)])
  return [
    [cp * cy, sr * sp * cy - cr * sy, cr * sp * cy + sr * sy],
    [cp * sy, sr * sp * sy + cr * cy, cr * sp * sy - sr * cy],
    [-sp, sr * cp, cr * cp],
  ]
}

/** The angle of the turn from one to the other, by the trace of the matrix between them. */
function apart(one: Attitude, other: Attitude): number {
  const [a, b] = [matrix(one), matrix(other)]
  let trace = 0
  for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) trace += a[j][i] * b[j][i]
  return Math.acos(Math.min(1, Math.max(-1, (trace - 1) / 2)))
}

test('Attitudes between two: the ends, a constant rate, the short way, the same seen from both sides', async t => {
  fc.assert(
    fc.property(attitude, attitude, share, (from, to, s) => {
      const whole = apart(from, to)
      const middle = between(from, to, s)
      // Half a turn has two short ways; the arc cosine is coarse (1e-4) at its ends.
      if (whole > 3.1) return
      const back = between(to, from, 1 - s)
      const close = (a: number, b: number) => abs(a - b) < 1e-3
      if (!close(apart(from, middle), s * whole)) throw new Error('not a share of the turn')
      if (!close(apart(middle, to), (1 - s) * whole)) throw new Error('not on the way')
      if (!close(apart(middle, back), 0)) throw new Error('another way back')
      if (!close(angleBetween(from, to), whole)) throw new Error('angleBetween')
    }),
  )
  const across = between({ roll: 0, pitch: 0, yaw: 3.1 }, { roll: 0, pitch: 0, yaw: -3.1 }, 0.5)
  t.ok(abs(abs(across.yaw) - PI) < 1e-9, 'over the south and not over the north')
})

test('Turning on: rates about the body axes, by small steps of the matrix', async t => {
  fc.assert(
    fc.property(attitude, angle, angle, angle, (from, p, q, r) => {
      const seconds = 0.2
      // Euler's method on the rotation matrix, R' = R Ω.
      const steps = 4000
      let m = matrix(from)
      const omega = [
        [0, -r, q],
        [r, 0, -p],
        [-q, p, 0],
      ]
      for (let i = 0; i < steps; i++) {
        m = m.map(row =>
          row.map(
            (value, j) => value + (seconds / steps) * row.reduce((sum, x, k) => sum + x * omega[k][j], 0),
          ),
        )
      }
      const end = matrix(turned(from, { roll: p, pitch: q, yaw: r }, seconds))
      const worst = Math.max(...end.flatMap((row, i) => row.map((value, j) => abs(value - m[i][j]))))
      if (worst > 2e-3) throw new Error(`off by ${worst}`)
    }),
    { numRuns: 30 },
  )
  t.pass()
})

test('Boot time: jitter of the line does not show, a reboot and 2^32 ms do not either', async t => {
  const rng = createRng('boot')
  const clock = new BootClock()
  const at = (trueMs: number, bootMs: number) => clock.toClockMs(bootMs, trueMs + 3 + 80 * rng.float() ** 4)
  let worst = 0
  for (let ms = 0; ms < 600_000; ms += 50) {
    const boot = Math.floor(ms * 1.00005)
    const error = at(1e12 + ms, boot % 2 ** 32) - (1e12 + ms)
    if (ms > 2000) worst = Math.max(worst, abs(error))
  }
  t.ok(worst < 6, `${worst.toFixed(1)} ms at most, of which 3 are the line's own`)
  t.equal(clock.reboots, 0)
  const other = new BootClock()
  let jump = 0
  for (let ms = -5000; ms < 5000; ms += 100) {
    const time = other.toClockMs((ms + 2 ** 32) % 2 ** 32, 1e12 + ms)
    jump = Math.max(jump, abs(time - (1e12 + ms)))
  }
  t.same([jump, other.reboots], [0, 0], '49.7 days are no reboot')
  const again = other.toClockMs(1500, 1e12 + 60_000)
  t.same([again, other.reboots], [1e12 + 60_000, 1], 'a reboot is')
})

const place = { altitudeM: 500, heightM: 50, northMps: 10, eastMps: -5, downMps: 1 }

test('Poses between messages and a little beyond; holes stay holes; memory is bounded', async t => {
  const track = new Track()
  t.equal(track.poseAt(0), undefined)
  const add = (ms: number, longitude: number) => track.addPosition(ms, { ...place, latitude: 46, longitude })
  add(1000, 179.9999)
  add(1100, -179.9999)
  const over = track.poseAt(1050)!.position!
  t.ok(abs(abs(over.longitude) - 180) < 1e-9, 'over the date line by the short way')
  t.equal(track.poseAt(999), undefined, 'before the first message nothing is known')
  const beyond = track.poseAt(1600)!.position!
  t.ok(abs((beyond.latitude - 46) * 111_319.5 - 5) < 0.01, 'half a second at 10 m/s north')
  t.ok(abs(beyond.heightM - 49.5) < 1e-9, 'sinking')
  t.equal(track.poseAt(2200), undefined, 'more than a second after the last')
  add(9000, 7)
  t.equal(track.poseAt(5000), undefined, 'in the middle of a hole')
  t.ok(track.poseAt(1900), 'near its beginning')
  add(8000, 9)
  t.equal(track.poseAt(9000)!.position!.longitude, 7, 'what comes late does not change what was')
  for (let ms = 10_000; ms < 10_000 + 200_000 * 50; ms += 50) add(ms, 7)
  t.equal(track.poseAt(20_000), undefined, 'the oldest went')
  t.ok(track.poseAt(10_000 + 199_000 * 50))
})

const vtol = sharedPath('data/flight-logs/vtol.tlog')

test(
  'A real flight: the track is that of the messages, left out ones are found again',
  needs(vtol),
  async t => {
    const bytes = readFileSync(vtol!)
    const state = new VehicleState()
    const left: { atMs: number; data: common.GlobalPositionInt | common.Attitude }[] = []
    const reader = new FrameReader()
    let [positions, attitudes] = [0, 0]
    for (let at = 8; at < bytes.length; ) {
      const end = at + bytes[at + 1] + 8
      const nowMs = Number(bytes.readBigUInt64BE(at - 8)) / 1000
      for (const { data } of reader.read(bytes.subarray(at, end))) {
        // Every fifth is kept from it, and compared afterwards with what it says of that time.
        const isLeft =
          (data instanceof common.GlobalPositionInt && ++positions % 5 === 0) ||
          (data instanceof common.Attitude && ++attitudes % 5 === 0)
        if (!isLeft) state.take(data, nowMs)
        else {
          const { timeBootMs } = data as common.Attitude
          left.push({ atMs: state.bootClock.toClockMs(timeBootMs, nowMs), data: data as common.Attitude })
        }
      }
      at = end + 8
    }
    t.ok(positions > 700 && attitudes > 700, `${positions} positions, ${attitudes} attitudes`)
    t.equal(state.bootClock.reboots, 0)
    t.match(state.gps, { fix: 6 })
    t.same(
      state.battery,
      { volts: undefined, amperes: undefined, percent: undefined },
      'it measures no battery',
    )
    const off: number[] = []
    const tilt: number[] = []
    for (const { atMs, data } of left) {
      const pose = state.track.poseAt(atMs)
      if (data instanceof common.Attitude) {
        if (pose?.attitude !== undefined) tilt.push(angleBetween(pose.attitude, data))
      } else if (pose?.position !== undefined) {
        const north = (pose.position.latitude - data.lat / 1e7) * 111_319.5
        const east =
          (pose.position.longitude - data.lon / 1e7) * 111_319.5 * Math.cos((data.lat / 1e7 / 180) * PI)
        off.push(Math.hypot(north, east))
      }
    }
    const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]
    t.ok(off.length > 100 && tilt.length > 100, `${off.length} and ${tilt.length} found again`)
    t.ok(median(off) < 0.5, `median ${median(off).toFixed(2)} m off at about 4 messages/s`)
    t.ok(median(tilt) < 0.02, `median ${median(tilt).toFixed(3)} rad off`)
  },
)
