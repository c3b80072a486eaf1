import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openTeacher } from '@kestrel/ground-station'
import { buildDeepLab, IGNORE, loadStudent, StudentRunner } from '@kestrel/models'
import { type Log, silentLog, UserError } from '@kestrel/runtime'
import { decode, encode } from 'fast-png'
import t from 'tap'
import { needs, sharedPath } from '../support/shared.js'

const image = { width: 4, height: 2, data: new Uint8Array(24) }

interface Picture {
  name: string
  data: number[]
  width?: number
  channels?: 1 | 3
}

function folder(classes: object | undefined, pictures: Picture[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-labels-'))
  if (classes !== undefined) writeFileSync(join(dir, 'classes.json'), JSON.stringify(classes))
  for (const { name, data, width = 4, channels = 1 } of pictures) {
    const height = data.length / channels / width
    writeFileSync(join(dir, name), encode({ width, height, channels, depth: 8, data: Uint8Array.from(data) }))
  }
  return dir
}

const list = { classes: ['sky', 'road', 'cow'], ignore: 3 }
const open = (dir: string, studentClasses = ['Road', 'sky'], log: Log = silentLog) =>
  openTeacher(`labels:${dir}`, { studentClasses, log })

t.test('labels are found by index in natural order and become student classes', async t => {
  const fill = (label: number) => new Array(8).fill(label)
  const dir = folder(list, [
    { name: '10.png', data: fill(1) },
    { name: '2.png', data: [0, 1, 2, 3, 200, 0, 1, 255] },
    { name: '1.png', data: fill(0) },
  ])
  const said: string[] = []
  const log: Log = { ...silentLog, warn: message => said.push(message) }
  const teacher = await open(dir, ['Road', 'sky'], log)
  const label = async (sourceIndex: number) =>
    Array.from((await teacher.label(image, { sourceIndex, captureMs: 0 })).data)
  t.same(await label(0), fill(1), '1.png is sky')
  t.same(
    await label(1),
    [1, 0, IGNORE, IGNORE, IGNORE, 1, 0, IGNORE],
    '2.png: cow, ignored and unknown labels count for nothing',
  )
  t.same(await label(2), fill(0), '10.png is road')
  t.match(said.join('\n'), /no class for the teacher's cow/)
  await t.rejects(label(3), { message: /no label for frame 3: there are 3, from 1\.png to 10\.png/ })
  await teacher.release()
})

t.test('folders that cannot be used', async t => {
  const picture = { name: '0.png', data: new Array(8).fill(0) }
  await t.rejects(open('/nowhere'), {
    name: 'UserError',
    message: /Cannot read the folder of labels \/nowhere/,
  })
  await t.rejects(open(folder(list, [])), { message: /has no PNG/ })
  await t.rejects(open(folder(undefined, [picture])), { message: /has no classes.json/ })
  await t.rejects(open(folder({ classes: 'sky' }, [picture])), {
    message: /classes.json.*"classes" must be a list/,
  })
  await t.rejects(open(folder(list, [picture]), ['boat']), { message: /None of the labels' classes/ })
  const colours = folder(list, [{ name: '0.png', data: new Array(24).fill(0), channels: 3 }])
  await t.rejects(open(colours), { message: /0\.png is no label picture: it has 3 channels of 8 bits/ })
  const broken = folder(list, [picture])
  writeFileSync(join(broken, '0.png'), 'no picture at all')
  await t.rejects(open(broken), { name: 'UserError', message: /0\.png is no label picture/ })
  const mixed = await open(folder(list, [picture, { name: '1.png', data: new Array(4).fill(0), width: 2 }]))
  await t.rejects(mixed.label(image, { sourceIndex: 1, captureMs: 0 }), {
    message: /1\.png is 2x2 but 0\.png is 4x2/,
  })
  await t.rejects(openTeacher('oracle', { studentClasses: ['a'], log: silentLog }), {
    message: /expected labels:DIR/,
  })
})

const camvid = sharedPath('data/camvid/0001TP/labels')
t.test("CamVid's human labels", needs(camvid), async t => {
  const { classes } = JSON.parse(readFileSync(join(camvid!, 'classes.json'), 'utf8'))
  const teacher = await open(camvid!, classes)
  const { width, height, data } = await teacher.label(image, { sourceIndex: 5, captureMs: 0 })
  t.same([width, height], [480, 360])
  const truth = decode(readFileSync(join(camvid!, '0005.png'))).data
  t.ok(data.every((label, i) => label === (truth[i] === 11 ? IGNORE : truth[i])))
})

const safeuav = sharedPath('models/safeuav-430k-480x272.onnx')
t.test('a network as teacher', needs(safeuav), async t => {
  const studentClasses = ['sky', 'water', 'land', 'forest', 'road', 'hill', 'residential', 'little-objects']
  const teacher = await openTeacher(safeuav!, { studentClasses, threads: 1, log: silentLog })
  // A frame of another size than the teacher's: blue above, green below.
  const width = 320
  const height = 180
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const above = i < (3 * width * height) / 2
    return [above ? 120 : 40, above ? 180 : 110, above ? 250 : 30][i % 3]
  })
  const labels = await teacher.label({ width, height, data }, { sourceIndex: 0, captureMs: 0 })
  t.same([labels.width, labels.height], [480, 272])
  t.equal(labels.data.length, 480 * 272)
  t.ok(labels.data.every(label => label < studentClasses.length))
  await teacher.release()
})

t.test('a network whose description is wrong', needs(safeuav), async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-teacher-'))
  mkdirSync(dir, { recursive: true })
  const file = join(dir, 'teacher.onnx')
  writeFileSync(file, readFileSync(safeuav!))
  const description = JSON.parse(readFileSync(safeuav!.replace('.onnx', '.json'), 'utf8'))
  const fails = async (changes: object, message: RegExp) => {
    writeFileSync(join(dir, 'teacher.json'), JSON.stringify({ ...description, ...changes }))
    try {
      const teacher = await openTeacher(file, { studentClasses: ['sky'], log: silentLog })
      await teacher.label(image, { sourceIndex: 0, captureMs: 0 })
      t.fail(`accepted ${JSON.stringify(changes)}`)
    } catch (error) {
      t.ok(error instanceof UserError)
      t.match((error as Error).message, message)
    }
  }
  await t.rejects(openTeacher(file, { studentClasses: ['sky'], log: silentLog }), {
    message: /teacher\.json is absent/,
  })
  await fails({ input: 'image' }, /names the input "image".*has rgb/)
  await fails({ output: 'labels' }, /names the output "labels".*has logits/)
  await fails({ size: [960, 544] }, /\[1,3,272,480\].*960x544/)
  await fails({ normalisation: 'imagenet' }, /"normalisation" is "imagenet": expected "inside the graph"/)
  await fails({ classes: ['sky', 'sea'], palette: undefined }, /gave float32 \[1,8,272,480\].*its 2 classes/)
  await fails({ classes: undefined }, /"classes" must be a list/)
  writeFileSync(file, 'no model')
  await fails({}, /cannot load the teacher/)
})

t.test('a model that was trained here is a teacher as it is: its classes are in its metadata', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'kestrel-teacher-'))
  const file = join(dir, 'trained.onnx')
  const classes = ['road', 'cow', 'sky']
  const bytes = buildDeepLab({ classes, width: 64, height: 32, widthMultiplier: 0.25, seed: 1 })
  writeFileSync(file, bytes)
  const camera = {
    width: 64,
    height: 32,
    data: Uint8Array.from({ length: 64 * 32 * 3 }, (_, i) => (7 * i) % 256),
  }
  const teacher = await openTeacher(file, { studentClasses: ['sky', 'road'], log: silentLog })
  const { data } = await teacher.label(camera, { sourceIndex: 0, captureMs: 0 })
  await teacher.release()
  const runner = await StudentRunner.create(loadStudent(bytes, { source: file }), bytes, { threads: 1 })
  const own = await runner.label(camera)
  await runner.release()
  t.same(
    data,
    own.data.map(label => [1, IGNORE, 0][label]),
    'what the model sees, in the classes of the student',
  )
})
