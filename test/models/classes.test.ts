import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultPalette, IGNORE, mapClasses, readClassList } from '@kestrel/models'
import t from 'tap'

function read(text: string) {
  const file = join(mkdtempSync(join(tmpdir(), 'kestrel-classes-')), 'classes.json')
  writeFileSync(file, text)
  return readClassList(file)
}

t.test('a class list is read, other keys are left alone', async t => {
  t.same(read('{"classes": ["sky", "road"], "palette": [[0,0,255],[9,9,9]], "ignore": 11, "fps": 1}'), {
    classes: ['sky', 'road'],
    palette: [
      [0, 0, 255],
      [9, 9, 9],
    ],
    ignore: 11,
  })
})

t.test('nonsense is refused by name', async t => {
  const cases: [string, RegExp][] = [
    ['{"classes": ["sky",', /classes\.json is not valid JSON/],
    ['[]', /expected an object/],
    ['{"classes": []}', /at least one name/],
    ['{"classes": ["sky", 3]}', /class 1 is 3; expected a name/],
    ['{"classes": ["sky", "SKY"]}', /classes 0 and 1 are both called/],
    ['{"classes": ["sky"], "palette": [[0,0]]}', /colour 0 is \[0,0\]/],
    ['{"classes": ["sky"], "palette": [[0,0,256]]}', /colour 0/],
    ['{"classes": ["sky"], "palette": []}', /list of 1 colours.*found 0/],
    ['{"classes": ["sky"], "ignore": 256}', /"ignore" is 256/],
    [JSON.stringify({ classes: Array.from({ length: 256 }, (_, i) => `c${i}`) }), /256 names; at most 255/],
  ]
  for (const [text, message] of cases)
    t.throws(() => read(text), { name: 'UserError', message }, text.slice(0, 40))
  t.throws(() => readClassList('/nowhere/classes.json'), { name: 'UserError', message: /Cannot read/ })
})

t.test('classes are matched by name', async t => {
  const table = mapClasses(
    ['Sky', 'tree', 'little objects', 'water'],
    ['water', 'road', 'little-objects', 'sky'],
  )
  t.same(Array.from(table.slice(0, 5)), [3, IGNORE, 2, 0, IGNORE])
  t.equal(table[IGNORE], IGNORE)
  t.equal(table.length, 256)
  t.throws(() => mapClasses(['a'], ['b']), {
    name: 'UserError',
    message: /None of the labels' classes \(a\)/,
  })
})

t.test('default colours are distinct', async t => {
  t.equal(new Set(defaultPalette(32).map(String)).size, 32)
})
