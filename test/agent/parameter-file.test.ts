import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  catalogue,
  decodeValue,
  encodeValue,
  encodingOf,
  filesFor,
  findParameterFile,
  firmwareConfigFolder,
  fits,
  formatParameters,
  identify,
  needsReboot,
  parseParameterFile,
  readParameterFile,
} from '@kestrel/agent'
import { UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { needs, sharedPath } from '../support/shared.js'

const integerTypes = [1, 2, 3, 4, 5, 6]
const ranges: Record<number, [number, number]> = {
  1: [0, 255],
  2: [-128, 127],
  3: [0, 65_535],
  4: [-32_768, 32_767],
  5: [0, 4_294_967_295],
  6: [-2_147_483_648, 2_147_483_647],
}
const real = 9

const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,15}$/)
const typedValue = fc.oneof(
  fc.constantFrom(...integerTypes).chain(type =>
    fc.record({
      type: fc.constant(type),
      value: fc.integer({ min: ranges[type][0], max: ranges[type][1] }),
    }),
  ),
  fc.record({
    type: fc.constant(real),
    value: fc.float({ noNaN: true, noDefaultInfinity: true }).map(value => value + 0),
  }),
)
const parameters = fc
  .uniqueArray(fc.tuple(name, typedValue), { selector: ([each]) => each, minLength: 1, maxLength: 40 })
  .map(all => all.map(([each, typed]) => ({ name: each, ...typed })))

t.test('what is written is read again, in both formats, whatever ends the lines', async t => {
  fc.assert(
    fc.property(
      parameters,
      fc.constantFrom('pairs' as const, 'columns' as const),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.boolean(),
      (values, format, end, gaps) => {
        const text = formatParameters(values, format, ['a comment', '1,2'])
        const spread = gaps ? text.replace(/\n/g, '\n\n  # between\n') : text
        const file = parseParameterFile(spread.replace(/\n/g, end), 'written')
        const wanted = values.map(({ name, value, type }) =>
          // -0 is written as 0.
          format === 'columns' ? { name, value: value + 0, type } : { name, value: value + 0 },
        )
        t.strictSame(
          file.entries.map(({ line: _, ...entry }) => ({ ...entry, value: entry.value + 0 })),
          wanted,
        )
        return file.format === format && file.comments[0] === 'a comment'
      },
    ),
    { numRuns: 200 },
  )
})

t.test('files as Mission Planner, MAVProxy, QGroundControl and ArduPilot write them', async t => {
  const read = (text: string) =>
    parseParameterFile(text, 'theirs').entries.map(({ name, value, type }) => [name, value, type])
  t.strictSame(read('#NOTE: 25.11.2026\r\nACRO_BAL_PITCH,1\r\nSERIAL2_BAUD,921\r\n'), [
    ['ACRO_BAL_PITCH', 1, undefined],
    ['SERIAL2_BAUD', 921, undefined],
  ])
  t.strictSame(read('ACRO_BAL_PITCH   1.000000\nSERIAL2_BAUD     921.000000\n'), [
    ['ACRO_BAL_PITCH', 1, undefined],
    ['SERIAL2_BAUD', 921, undefined],
  ])
  t.strictSame(
    read('# Vehicle-Id Component-Id Name Value Type\n1\t1\tSER_TEL2_BAUD\t921600\t6\n1\t1\tX\t-1.5e-3\t9\n'),
    [
      ['SER_TEL2_BAUD', 921_600, 6],
      ['X', -0.0015, 9],
    ],
  )
  t.strictSame(read('\uFEFFSYSID_THISMAV 1 # the address'), [['SYSID_THISMAV', 1, undefined]])
})

t.test('each mistake is one message with file and line', async t => {
  const cases: [string, RegExp][] = [
    ['A,1\nA,2', /^f, line 2: A stands in line 1 already/],
    ['A,1\n\n# x\nB', /^f, line 4: expected NAME,VALUE or five columns/],
    ['A,1,2', /line 1: expected NAME,VALUE/],
    ['A,one', /line 1: expected a number/],
    ['A,0x10', /line 1: expected a number/],
    ['A,1e99', /line 1: expected a number/],
    ['A,NaN', /line 1: expected a number/],
    ['serial2_baud,921', /line 1: expected a name of capital letters/],
    ['ABCDEFGHIJKLMNOPQ,1', /line 1: a name has 16 characters at most/],
    ['1\t1\tA\t300\t2', /line 1: 300 is no value of type 2 \(int8\)/],
    ['1\t1\tA\t1.5\t6', /line 1: 1\.5 is no value of type 6/],
    ['1\t1\tA\t1\t7', /line 1: expected a type in the last column: .*6 \(int32\).*9 \(float\)/],
    ['1\t154\tA\t1\t6', /line 1: expected component id 1/],
    ['1\t1\tA\t1\t6\nB,2', /line 2: expected five columns as in the lines before/],
    ['A,1\n1\t1\tB\t1\t6', /line 2: expected NAME,VALUE as in the lines before/],
    ['# nothing', /^f has no parameters/],
    ['', /^f has no parameters/],
  ]
  for (const [text, message] of cases) {
    t.throws(() => parseParameterFile(text, 'f'), { name: 'UserError', message }, JSON.stringify(text))
  }
  t.throws(() => readParameterFile('/nowhere/x.param'), {
    message: /Cannot read the parameter file \/nowhere/,
  })
  t.throws(() => readParameterFile('/'), UserError)
})

t.test('rubbish is refused by one line, which names the line that is wrong', async () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 300 })),
      text => {
        try {
          return parseParameterFile(text, 'rubbish').entries.length > 0
        } catch (error) {
          return (
            error instanceof UserError && /^rubbish(, line \d+:| has no)[\x20-\x7e…]*$/.test(error.message)
          )
        }
      },
    ),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(
      parameters,
      fc.nat(),
      fc.constantFrom('?', 'A,', ',1', 'A B C', '1 1 1'),
      (values, at, wrong) => {
        const lines = formatParameters(values, 'pairs').split('\n')
        const index = at % lines.length
        lines.splice(index, 0, wrong)
        try {
          parseParameterFile(lines.join('\n'), 'f')
          return false
        } catch (error) {
          return (error as Error).message.startsWith(`f, line ${index + 1}: `)
        }
      },
    ),
    { numRuns: 300 },
  )
})

t.test('every value of every type crosses the float and back, in both encodings', async t => {
  fc.assert(
    fc.property(
      typedValue,
      fc.constantFrom('bytewise' as const, 'c-cast' as const),
      ({ type, value }, encoding) => {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32LE(encodeValue(value, type, encoding))
        const back = decodeValue(bytes, type, encoding)
        // A cast keeps 24 bits of an integer.
        return back === (encoding === 'c-cast' || type === real ? Math.fround(value) : value)
      },
    ),
    { numRuns: 1000 },
  )
  // The union of the standard: the int32's bytes, and those of smaller types first.
  t.equal(encodeValue(-1, 6, 'bytewise'), 0xffffffff)
  t.equal(encodeValue(921_600, 6, 'bytewise'), 921_600)
  t.equal(encodeValue(1, 6, 'c-cast'), 0x3f800000)
  t.equal(encodeValue(-2, 2, 'bytewise') & 0xff, 0xfe)
  t.throws(() => encodeValue(128, 2, 'c-cast'), /no value of type int8/)
  t.equal(fits(3.5e38, real), false)
})

t.test('capabilities decide the encoding before the firmware does', async t => {
  t.equal(encodingOf(12, 16n), 'bytewise')
  t.equal(encodingOf(12, undefined), 'bytewise')
  t.equal(encodingOf(12, 131_072n), 'c-cast')
  t.equal(encodingOf(3, 131_072n), 'c-cast')
  t.equal(encodingOf(3, 2n), 'c-cast')
  t.equal(encodingOf(3, 16n), 'bytewise')
})

t.test('the file that fits is found by firmware and version', async t => {
  const version = (major: number, minor: number) => ((major << 24) | (minor << 16) | 255) >>> 0
  const shorts = (type: number, autopilot: number, flightSwVersion?: number) =>
    filesFor(identify({ type, autopilot }, flightSwVersion)).map(({ short }) => short)
  t.same(shorts(2, 3, version(4, 5)), ['copter-4.6-serial', 'copter-4.7-ethernet'])
  t.same(shorts(13, 3, version(4, 7)), ['copter-4.7-ethernet', 'copter-4.7-serial'])
  t.same(shorts(1, 3, version(4, 6)), ['plane-4.6-serial', 'plane-4.7-ethernet'])
  t.same(shorts(21, 3, version(4, 6)), ['plane-4.6-serial', 'plane-4.7-ethernet'])
  t.same(shorts(10, 3, version(4, 7)), ['rover-4.7-ethernet', 'rover-4.7-serial'])
  t.same(shorts(2, 12, version(1, 14)), ['px4-1.16-ethernet', 'px4-1.16-serial'])
  t.same(shorts(2, 12, version(1, 13)), [])
  t.same(shorts(2, 3), [])
  t.equal(findParameterFile('copter-4.5-ethernet').name, findParameterFile('copter-4.7-ethernet').name)
})

/** Values that the firmware's documentation allows; where a range is meant, its ends. */
const allowed: [pattern: RegExp, type: number, values: number[] | { min: number; max: number }][] = [
  [/^(SERIAL2|NET_P1)_PROTOCOL$/, 2, [1, 2]],
  [/^SERIAL2_BAUD$/, 6, [57, 115, 230, 460, 500, 921, 1500]],
  [/^BRD_SER2_RTSCTS$/, 2, [0, 1, 2]],
  [/^(SR2|MAV3)_(EXT_STAT|POSITION|EXTRA[123])$/, 4, { min: 0, max: 50 }],
  [/^NET_(ENABLE|DHCP)$/, 2, [0, 1]],
  [/^NET_(IPADDR|P1_IP)[0-3]$/, 4, { min: 0, max: 255 }],
  [/^NET_NETMASK$/, 2, { min: 0, max: 32 }],
  [/^NET_P1_TYPE$/, 2, [0, 1, 2, 3, 4]],
  [/^NET_P1_PORT$/, 6, { min: 1, max: 65_535 }],
  [/^MAV_1_CONFIG$/, 6, [101, 102, 103, 104]],
  [/^MAV_2_CONFIG$/, 6, [1000]],
  [/^MAV_\d_MODE$/, 6, [0, 1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13]],
  [/^MAV_\d_RATE$/, 6, { min: 0, max: 1_000_000 }],
  [/^MAV_\d_(FORWARD|RADIO_CTL)$/, 6, [0, 1]],
  [/^MAV_\d_(BROADCAST|FLOW_CTRL)$/, 6, [0, 1, 2]],
  [/^MAV_\d_(UDP|REMOTE)_PRT$/, 6, { min: 1, max: 65_535 }],
  [/^SER_TEL2_BAUD$/, 6, [57_600, 115_200, 230_400, 460_800, 500_000, 921_600, 1_500_000]],
]

t.test('shipped files: format, names, values, and a word in the README for each', async t => {
  const readme = readFileSync(join(firmwareConfigFolder, 'README.md'), 'utf8')
  const all = catalogue()
  t.same(
    all.map(({ short }) => short),
    [
      'copter-4.6-serial',
      'copter-4.7-ethernet',
      'copter-4.7-serial',
      'plane-4.6-serial',
      'plane-4.7-ethernet',
      'plane-4.7-serial',
      'px4-1.16-ethernet',
      'px4-1.16-serial',
      'rover-4.6-serial',
      'rover-4.7-ethernet',
      'rover-4.7-serial',
    ],
  )
  for (const { short, path, versions, description } of all) {
    const text = readFileSync(path, 'utf8')
    const isPx4 = short.startsWith('px4')
    // Mission Planner passes over a line with anything more in it, QGroundControl over one with another number of tabs.
    const line = isPx4 ? /^1\t1\t[A-Z0-9_]{1,16}\t-?\d+\t[69]$/ : /^[A-Z0-9_]{1,16},-?\d+$/
    const lines = text.split('\n').filter(each => each !== '' && !each.startsWith('#'))
    for (const each of lines) t.match(each, line, `${short}: ${each}`)
    t.equal(text.includes('\r'), false)
    t.ok(path.endsWith(isPx4 ? '.params' : '.param'))
    t.ok(
      versions.length > 0 && versions.includes(short.split('-')[1]),
      `${short} is for the version in its name`,
    )
    t.ok(
      versions.every(version => description.includes(version)),
      description,
    )
    const names = lines.map(each => each.split(/[\t,]/)[isPx4 ? 2 : 0])
    t.same(names, [...new Set(names)], `${short}: each once`)
    const { entries } = readParameterFile(path)
    t.same(
      entries.map(({ name }) => name),
      names,
    )
    for (const { name, value, type } of entries) {
      const rule = allowed.find(([pattern]) => pattern.test(name))
      t.ok(rule !== undefined, `${short}: ${name} is known`)
      const [, ruleType, values] = rule!
      t.ok(fits(value, ruleType) && (type === undefined || type === ruleType), `${name} ${value}`)
      t.ok(
        Array.isArray(values) ? values.includes(value) : value >= values.min && value <= values.max,
        `${short}: ${name} may be ${value}`,
      )
      t.ok(needsReboot(name) || name === 'MAV_2_BROADCAST', `${name}: whether it needs a reboot is known`)
      t.ok(new RegExp(`\\b${name.replace(/\d$/, '(\\d|0…3)')}\\b`).test(readme), `README explains ${name}`)
    }
    t.ok(readme.includes(short), `README lists ${short}`)
  }
  t.ok(existsSync(join(firmwareConfigFolder, 'px4-net.cfg')))
})

t.test('vehicles and versions agree where they should', async t => {
  const namesOf = (short: string) => findParameterFile(short).entries.map(({ name }) => name)
  for (const kind of ['4.6-serial', '4.7-serial', '4.7-ethernet']) {
    for (const vehicle of ['plane', 'rover']) {
      t.same(namesOf(`${vehicle}-${kind}`), namesOf(`copter-${kind}`))
    }
  }
  // ArduPilot 4.7 counts channels from 1 where SRn counted them from 0.
  t.same(
    namesOf('copter-4.7-serial'),
    namesOf('copter-4.6-serial').map(name => name.replace(/^SR2_/, 'MAV3_')),
  )
})

const tlog = sharedPath('data/flight-logs/vtol.tlog')
const ulog = sharedPath('data/flight-logs/sample_log_small.ulg')

t.test('ArduPilot has these parameters: a log of one says so, with their types', needs(tlog), async t => {
  const types = typesInTlog(readFileSync(tlog!))
  const inLog = findParameterFile('plane-4.6-serial').entries.filter(({ name }) => types.has(name))
  // A simulated autopilot, which has no flow control.
  t.same(
    findParameterFile('plane-4.6-serial')
      .entries.map(({ name }) => name)
      .filter(name => !types.has(name)),
    ['BRD_SER2_RTSCTS'],
  )
  for (const { name } of inLog) {
    t.equal(types.get(name), allowed.find(([pattern]) => pattern.test(name))?.[1], name)
  }
})

t.test('PX4 has these parameters: a log of one says so, with their types', needs(ulog), async t => {
  const log = readFileSync(ulog!).toString('latin1')
  for (const { name } of findParameterFile('px4-1.16-serial').entries) {
    // The log is of PX4 1.11; MAV_n_FLOW_CTRL came later.
    if (name === 'MAV_1_FLOW_CTRL') continue
    t.match(log, new RegExp(`int32_t ${name}`))
  }
})

/** PARAM_VALUE (#22) in a log of MAVLink frames, each after a time of eight bytes. */
function typesInTlog(bytes: Buffer): Map<string, number> {
  const types = new Map<string, number>()
  for (let at = 8; at + 8 < bytes.length; ) {
    const isV2 = bytes[at] === 0xfd
    const start = at + (isV2 ? 10 : 6)
    const id = isV2 ? bytes.readUIntLE(at + 7, 3) : bytes[at + 5]
    if (id === 22) {
      types.set(bytes.toString('latin1', start + 8, start + 24).split('\0')[0], bytes[start + 24])
    }
    at = start + bytes[at + 1] + 2 + (isV2 && bytes[at + 2] & 1 ? 13 : 0) + 8
  }
  return types
}
