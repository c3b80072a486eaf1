import {
  Board,
  CpuMeter,
  readMemory,
  readThermal,
  SystemFiles,
  strainOf,
  ThrottlingMeter,
} from '@kestrel/agent'
import fc from 'fast-check'
import t from 'tap'
import { procStat, systemTree } from '../support/system-tree.js'

const calm = { underVoltage: false, cpuThrottled: false, thermalThrottled: false }
const pi = '/sys/bus/platform/drivers/raspberrypi-firmware/soc@107c000000:firmware/get_throttled'

t.test('CPU: what was busy since the last reading, each core and all of them', async t => {
  const tree = systemTree(t, { '/proc/stat': procStat([1000, 1000], 10_000) })
  const meter = new CpuMeter(new SystemFiles(tree.root))
  t.same(meter.read(0), { busy: 0, cores: [0, 0], quota: 0, heldBack: false }, 'nothing to compare with yet')
  tree.write({ '/proc/stat': procStat([1100, 1025], 10_100) })
  t.same(meter.read(1000), { busy: 0.625, cores: [1, 0.25], quota: 0, heldBack: false })
  tree.write({ '/proc/stat': procStat([1100, 1025, 20], 10_200) })
  t.same(meter.read(2000).cores, [0, 0, 0], 'a core came: nothing to compare with')
})

t.test('CPU: the quota of the own control group or of one above it', async t => {
  const group = '/sys/fs/cgroup/system.slice/kestrel-agent.service'
  const stat = (usage: number, periods: number, throttled: number) =>
    `usage_usec ${usage}\nuser_usec 5\nnr_periods ${periods}\nnr_throttled ${throttled}\nthrottled_usec 1`
  const tree = systemTree(t, {
    '/proc/stat': procStat([100], 1000),
    '/proc/self/cgroup': '0::/system.slice/kestrel-agent.service',
    [`${group}/cpu.max`]: 'max 100000',
    '/sys/fs/cgroup/system.slice/cpu.max': '150000 100000',
    [`${group}/cpu.stat`]: stat(5_000_000, 100, 10),
  })
  const meter = new CpuMeter(new SystemFiles(tree.root))
  meter.read(0)
  tree.write({ [`${group}/cpu.stat`]: stat(5_750_000, 110, 10) })
  t.match(meter.read(1000), { quota: 0.5, heldBack: false }, '0.75 of 1.5 CPUs')
  tree.write({ [`${group}/cpu.stat`]: stat(7_250_000, 120, 13) })
  t.match(meter.read(2000), { quota: 1, heldBack: true }, '3 of 10 periods ended early')
  tree.write({ [`${group}/cpu.stat`]: stat(7_300_000, 130, 14) })
  t.match(meter.read(3000), { heldBack: false }, '1 of 10 is nothing')
})

t.test('memory: of the board, or of the limit, whichever is fuller', async t => {
  const group = '/sys/fs/cgroup/system.slice/kestrel-agent.service'
  const tree = systemTree(t, {
    '/proc/meminfo': 'MemTotal:        8000 kB\nMemFree:          500 kB\nMemAvailable:    6000 kB',
    '/proc/self/cgroup': '0::/system.slice/kestrel-agent.service',
  })
  const files = new SystemFiles(tree.root)
  t.same(readMemory(files), { usedBytes: 2_048_000, totalBytes: 8_192_000, share: 0.25 })
  tree.write({
    [`${group}/memory.max`]: 'max',
    [`${group}/memory.high`]: '1000000',
    [`${group}/memory.current`]: '900000',
    [`${group}/memory.stat`]: 'anon 1\nfile 500000\ninactive_file 100000\nactive_file 400000',
  })
  t.equal(readMemory(files).share, 0.8, 'the cache does not count')
  tree.write({ [`${group}/memory.max`]: '800000' })
  t.equal(readMemory(files).share, 1, 'the smaller limit')
})

t.test('thermal: processors only, the hottest, and where the kernel steps in', async t => {
  const zone = '/sys/class/thermal/thermal_zone'
  const tree = systemTree(t, {
    [`${zone}0/type`]: 'cpu-thermal',
    [`${zone}0/temp`]: '63625',
    [`${zone}0/trip_point_0_type`]: 'active',
    [`${zone}0/trip_point_0_temp`]: '50000',
    [`${zone}0/trip_point_1_type`]: 'passive',
    [`${zone}0/trip_point_1_temp`]: '99000',
    [`${zone}0/trip_point_2_type`]: 'critical',
    [`${zone}0/trip_point_2_temp`]: '104500',
    [`${zone}1/type`]: 'gpu-thermal',
    [`${zone}1/temp`]: '65000',
    // Switched off: a Jetson's zone without power does not answer.
    [`${zone}2/type`]: 'cv0-thermal',
    [`${zone}10/type`]: 'battery',
    [`${zone}10/temp`]: '90000',
  })
  t.same(readThermal(new SystemFiles(tree.root)), { temperatureC: 65, zonesC: [63.625, 65], passiveC: 99 })
  for (const name of ['0', '1']) tree.remove(`${zone}${name}`)
  t.equal(readThermal(new SystemFiles(tree.root)).temperatureC, 90, 'whatever thermometer there is')
  tree.remove(`${zone}10`)
  t.same(readThermal(new SystemFiles(tree.root)), {
    temperatureC: undefined,
    zonesC: [],
    passiveC: undefined,
  })
})

t.test('throttling of a Raspberry Pi', async t => {
  const tree = systemTree(t)
  const read = () => new ThrottlingMeter(new SystemFiles(tree.root)).read(0)
  t.same(read(), calm, 'a board that says nothing')
  const cases: [string, Partial<typeof calm>][] = [
    ['0x0', {}],
    ['50000', {}],
    ['0xd0000', {}],
    ['1', { underVoltage: true }],
    // What a Pi says at under-voltage: it slows down, but not because of heat.
    ['0x50005', { underVoltage: true, cpuThrottled: true }],
    ['2', { cpuThrottled: true }],
    ['0x4', { cpuThrottled: true, thermalThrottled: true }],
    ['8', { thermalThrottled: true }],
  ]
  for (const [bits, expected] of cases) {
    tree.write({ [pi]: bits })
    t.same(read(), { ...calm, ...expected }, bits)
  }
  tree.remove(pi)
  tree.write({ '/sys/devices/platform/soc/soc:firmware/get_throttled': '1' })
  t.ok(read().underVoltage, 'where older kernels have it')
  tree.remove('/sys/devices')
  tree.write({ '/sys/class/hwmon/hwmon1/name': 'rpi_volt', '/sys/class/hwmon/hwmon1/in0_lcrit_alarm': '1' })
  t.same(read(), { ...calm, underVoltage: true }, 'where newer kernels have it')
  tree.write({ '/sys/class/hwmon/hwmon1/name': 'other' })
  t.same(read(), calm, 'another chip')
})

t.test('throttling of a Jetson: alerts now, event counters for a while after they rose', async t => {
  const cooling = '/sys/class/thermal/cooling_device'
  const oc = '/sys/class/hwmon/hwmon3'
  const tree = systemTree(t, {
    [`${cooling}0/type`]: 'pwm-fan',
    [`${cooling}0/cur_state`]: '3',
    [`${cooling}8/type`]: 'gpu-throttle-alert',
    [`${cooling}8/cur_state`]: '0',
    [`${oc}/name`]: 'soctherm_oc',
    [`${oc}/oc1_event_cnt`]: '4',
    [`${oc}/oc3_event_cnt`]: '179',
  })
  const meter = new ThrottlingMeter(new SystemFiles(tree.root))
  t.same(meter.read(0), calm, 'a fan that turns is no alarm, nor what happened before')
  tree.write({ [`${cooling}8/cur_state`]: '1' })
  t.same(meter.read(1000), { ...calm, cpuThrottled: true, thermalThrottled: true })
  tree.write({ [`${cooling}8/cur_state`]: '0', [`${oc}/oc3_event_cnt`]: '180' })
  t.same(meter.read(2000), { ...calm, cpuThrottled: true }, 'over-current')
  t.same(meter.read(6000), { ...calm, cpuThrottled: true })
  t.same(meter.read(7000), calm, 'it is over')
  tree.write({ [`${oc}/oc1_event_cnt`]: '5' })
  t.same(meter.read(8000), { ...calm, underVoltage: true, cpuThrottled: true })
})

t.test('strain: over a ceiling, near it, or calm', async t => {
  const tree = systemTree(t, {
    '/proc/stat': procStat([100], 1000),
    '/proc/meminfo': 'MemTotal: 1000 kB\nMemAvailable: 500 kB',
    '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal',
  })
  const board = new Board({ stateDir: tree.root, root: tree.root })
  const at = (milliC: number, ceilings: object = {}) => {
    tree.write({ '/sys/class/thermal/thermal_zone0/temp': String(milliC) })
    return strainOf(board.read(0), { maxCpu: 100, maxMemory: 90, ...ceilings })
  }
  t.same(at(79_000), { over: [], calm: true })
  t.same(at(81_000), { over: [], calm: false }, 'near 85 °C')
  t.same(at(85_000), { over: ['85 °C'], calm: false })
  t.same(at(60_000, { maxTemperatureC: 55 }), { over: ['60 °C'], calm: false })
  t.same(at(60_000, { maxMemory: 50 }), { over: ['50 % of the memory'], calm: false })
  tree.write({
    '/sys/class/thermal/thermal_zone0/trip_point_0_type': 'passive',
    '/sys/class/thermal/thermal_zone0/trip_point_0_temp': '70000',
  })
  t.same(at(66_900), { over: [], calm: false }, 'a little below where the kernel steps in')
  t.same(at(67_000).over, ['67 °C'])
  tree.write({ [pi]: '0x5' })
  t.same(at(40_000), {
    over: ['the supply voltage is too low', 'the board holds its clocks down'],
    calm: false,
  })
})

t.test('whatever stands in those files, nothing is thrown and every number is one', async t => {
  const paths = [
    '/proc/stat',
    '/proc/meminfo',
    '/proc/uptime',
    '/proc/self/cgroup',
    '/sys/fs/cgroup/a/cpu.max',
    '/sys/fs/cgroup/a/memory.max',
    '/sys/fs/cgroup/a/memory.current',
    '/sys/class/thermal/thermal_zone0/temp',
    '/sys/class/thermal/thermal_zone0/trip_point_0_temp',
    '/sys/class/hwmon/hwmon0/oc1_event_cnt',
    pi,
  ]
  const text = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '-1',
      'max',
      'max 100000',
      '1 0',
      '0 0',
      '0::/a',
      'cpu 1',
      'cpu  1 2 3 4 5 6 7 8',
      'nan',
    ),
    fc.constantFrom('MemTotal: 0 kB', 'MemTotal: 10 kB\nMemAvailable: 20 kB', '9999999999999999999', '0x'),
    fc.string(),
  )
  const tree = systemTree(t, {
    '/sys/class/thermal/thermal_zone0/trip_point_0_type': 'passive',
    '/sys/class/hwmon/hwmon0/name': 'soctherm_oc',
  })
  const board = new Board({ stateDir: tree.root, root: tree.root })
  let nowMs = 0
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...paths), text), { maxLength: 12 }), changes => {
      tree.write(Object.fromEntries(changes))
      nowMs += 1000
      const { cpu, memory, thermal, uptimeMs } = board.read(nowMs)
      const numbers = [cpu.busy, ...cpu.cores, cpu.quota, memory.share, memory.usedBytes, memory.totalBytes]
      const whole = [
        ...numbers,
        ...thermal.zonesC,
        thermal.temperatureC ?? 0,
        thermal.passiveC ?? 0,
        uptimeMs,
      ]
      return whole.every(Number.isFinite) && numbers.every(number => number >= 0)
    }),
    { numRuns: 300, seed: 4 },
  )
})
