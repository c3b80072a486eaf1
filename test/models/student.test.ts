import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import {
  AttributeProtoSchema,
  loadStudent,
  type ModelProto,
  makeNode,
  makeTensor,
  makeValueInfo,
  parameterDigest,
  patchParameters,
  readParameters,
  readStudentFile,
  StudentRunner,
  tensorData,
  withParameters,
  writeOnnx,
} from '@kestrel/models'
import { createRng } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { needs, sharedPath } from '../support/shared.js'
import { pattern, tinyModel } from '../support/students.js'

const load = (proto: ModelProto) => loadStudent(writeOnnx(proto), { source: 'tiny.onnx' })
const initializer = (proto: ModelProto, name: string) => proto.graph!.initializer.find(i => i.name === name)!

t.test('the parameters are those of the operators that learn, in graph order', async t => {
  const student = load(tinyModel())
  t.same(
    student.parameters.map(({ name, role, opType, offset, count }) => [name, role, opType, offset, count]),
    [
      ['down.w', 'weight', 'Conv', 0, 108],
      ['down.b', 'bias', 'Conv', 108, 4],
      ['norm.scale', 'scale', 'BatchNormalization', 112, 4],
      ['norm.shift', 'shift', 'BatchNormalization', 116, 4],
      ['slope', 'slope', 'PRelu', 120, 4],
      ['up.w', 'weight', 'ConvTranspose', 124, 80],
      ['up.b', 'bias', 'ConvTranspose', 204, 5],
      ['head.w', 'weight', 'Conv', 209, 15],
    ],
  )
  t.equal(student.parameterCount, 224)
  t.same(student.input, { name: 'image', height: 8, width: 12, batch: 'dynamic' })
  t.same(student.output, { name: 'logits', classes: 3 })
  const vector = readParameters(student)
  t.same(vector.slice(0, 108), pattern(108))
  t.same(vector.slice(209), pattern(15, 6))
})

t.test('the place of the initializers in the file does not matter, their names and shapes do', async t => {
  const shuffled = tinyModel()
  shuffled.graph!.initializer.reverse()
  t.same(readParameters(load(shuffled)), readParameters(load(tinyModel())))
  t.same(load(shuffled).layoutDigest, load(tinyModel()).layoutDigest)
  const renamed = tinyModel()
  initializer(renamed, 'head.w').name = 'other'
  renamed.graph!.node.at(-1)!.input[1] = 'other'
  t.notSame(load(renamed).layoutDigest, load(tinyModel()).layoutDigest)
})

t.test('weights in Constant nodes and behind Identity count as well', async t => {
  const proto = tinyModel()
  const graph = proto.graph!
  const weight = initializer(proto, 'head.w')
  graph.initializer = graph.initializer.filter(tensor => tensor !== weight)
  const value = create(AttributeProtoSchema, { name: 'value', type: 4, t: { ...weight, name: '' } })
  const constant = makeNode('Constant', [], ['head.w'])
  constant.attribute = [value]
  graph.node.unshift(constant, makeNode('Identity', ['up.w'], ['up.same']))
  graph.node.find(node => node.opType === 'ConvTranspose')!.input[1] = 'up.same'
  const student = load(proto)
  t.same(readParameters(student), readParameters(load(tinyModel())))
  t.notOk(student.proto.graph!.node.some(node => node.opType === 'Constant'))
  const runner = await StudentRunner.create(student, student.bytes, { threads: 1 })
  await runner.release()
})

t.test('a shared tensor appears once; one that a constant input shares is split', async t => {
  const shared = tinyModel()
  shared.graph!.node[4].input[1] = 'up.w'
  shared.graph!.node.push(makeNode('ConvTranspose', ['active', 'up.w'], ['unused'], { kernel_shape: [2, 2] }))
  t.equal(load(shared).parameters.filter(({ name }) => name === 'up.w').length, 1)

  const merged = tinyModel()
  merged.graph!.node[2].input[3] = 'norm.shift'
  const student = load(merged)
  t.equal(student.parameterCount, 224)
  const [, , shift, mean] = student.proto.graph!.node[2].input
  t.not(mean, 'norm.shift')
  t.not(shift, mean)
  t.same(tensorData(initializer(student.proto, mean)).data, pattern(4, 2))
})

t.test('initializers listed as inputs, as IR version 3 wanted it, are not taken for images', async t => {
  const proto = tinyModel()
  proto.irVersion = 3n
  proto.graph!.input.push(makeValueInfo('down.w', [4, 3, 3, 3]))
  const student = load(proto)
  t.equal(student.parameterCount, 224)
  t.equal(student.proto.graph!.input.length, 1)
})

t.test('the bias of a linear layer is the Add after its MatMul', async t => {
  const proto = tinyModel()
  const graph = proto.graph!
  graph.initializer.push(
    makeTensor('linear.w', [12, 12], pattern(144)),
    makeTensor('linear.b', [12], pattern(12)),
  )
  graph.node.at(-1)!.output[0] = 'scores'
  graph.node.push(
    makeNode('MatMul', ['scores', 'linear.w'], ['product']),
    makeNode('Add', ['linear.b', 'product'], ['logits']),
  )
  const student = load(proto)
  t.same(
    student.parameters.slice(-2).map(({ name, role, opType }) => [name, role, opType]),
    [
      ['linear.w', 'weight', 'MatMul'],
      ['linear.b', 'bias', 'Add'],
    ],
  )
})

t.test('every model that is no student gets one sentence with what to do', async t => {
  const cases: [RegExp, (proto: ModelProto) => void][] = [
    [
      /exactly one input, the image; found 2 \(image, depth\)/,
      p => p.graph!.input.push(makeValueInfo('depth', [1])),
    ],
    [/exactly one input, the image; found 0/, p => p.graph!.input.pop()],
    [/RGB image, float \[N,3,H,W\]; "image" is float \[N,8,12,3\]/, p => replaceInput(p, ['N', 8, 12, 3])],
    [/RGB image.*"image" is uint8/, p => replaceInput(p, ['N', 3, 8, 12], 2)],
    [/fixed height and width/, p => replaceInput(p, ['N', 3, 'H', 'W'])],
    [/batch size must be 1 or dynamic/, p => replaceInput(p, [4, 3, 8, 12])],
    [/class scores, float \[N,C,h,w\].*"logits" is float \[N,8,12\]/, p => replaceOutput(p, ['N', 8, 12])],
    [/class scores.*fixed C/, p => replaceOutput(p, ['N', 'C', 8, 12])],
    [
      /2 outputs.*none is called "logits"/,
      p => p.graph!.output.splice(0, 1, makeValueInfo('a', [1]), makeValueInfo('b', [1])),
    ],
    [/has 3 classes but 2 are named \(sky, road\)/, p => setClasses(p, '["sky", "road"]')],
    [/not valid JSON/, p => setClasses(p, '["sky", ')],
    [/classes 0 and 2 are both called "Sky"/, p => setClasses(p, '["sky", "road", "Sky"]')],
    [/does not name its classes/, p => p.metadataProps.splice(0)],
    [
      /the weight of node "logits" is float16; .* export the model in float32/,
      p => Object.assign(initializer(p, 'head.w'), { dataType: 10, rawData: new Uint8Array(30) }),
    ],
    [/no trainable parameters/, p => (p.graph!.node = [makeNode('Identity', ['image'], ['logits'])])],
  ]
  for (const [message, spoil] of cases) {
    const proto = tinyModel()
    spoil(proto)
    t.throws(() => load(proto), { name: 'UserError', message }, String(message))
    t.throws(() => load(proto), { message: /^tiny\.onnx/ }, 'names the file')
  }
})

function replaceInput(proto: ModelProto, dims: (number | string)[], type?: number) {
  proto.graph!.input[0] = makeValueInfo('image', dims, type)
}

function replaceOutput(proto: ModelProto, dims: (number | string)[]) {
  proto.graph!.output[0] = makeValueInfo('logits', dims)
}

function setClasses(proto: ModelProto, value: string) {
  proto.metadataProps[0].value = value
}

t.test('patching writes the same as replacing all, at any byte offset', async t => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 5 }),
      fc.uniqueArray(fc.nat(223), { maxLength: 224 }),
      fc.nat(7),
      fc.integer(),
      (text, chosen, shift, seed) => {
        // A text of any length in the metadata moves the weights to any offset within the file.
        const student = loadStudent(writeOnnx(tinyModel({ metadata: { note: text } })), { source: 'x' })
        const rng = createRng(seed)
        const indices = Uint32Array.from(chosen).sort()
        const values = Float32Array.from(indices, () => rng.normal())
        const vector = readParameters(student)
        indices.forEach((index, i) => {
          vector[index] = values[i]
        })
        const room = new Uint8Array(student.bytes.length + shift)
        const patched = room.subarray(shift)
        patched.set(student.bytes)
        patchParameters(patched, student.parameters, indices, values)
        t.equal(Buffer.compare(patched, withParameters(student, vector)), 0)
      },
    ),
    { numRuns: 100 },
  )
})

t.test('patching outside the vector writes nothing', async t => {
  const student = load(tinyModel())
  const bytes = student.bytes.slice()
  for (const indices of [
    [0, 224],
    [5, 5],
    [6, 2],
  ]) {
    t.throws(
      () => patchParameters(bytes, student.parameters, Uint32Array.from(indices), new Float32Array(2)),
      RangeError,
    )
  }
  t.throws(
    () => patchParameters(bytes, student.parameters, Uint32Array.of(1), new Float32Array(2)),
    RangeError,
  )
  t.same(bytes, student.bytes)
})

t.test('a patched model computes what a model that was built with those weights computes', async t => {
  const rng = createRng('patched')
  const student = load(tinyModel())
  const vector = Float32Array.from({ length: 224 }, () => 0.3 * rng.normal())
  const built = tinyModel()
  for (const { name, offset, count, dims } of student.parameters) {
    Object.assign(initializer(built, name), makeTensor(name, dims, vector.slice(offset, offset + count)))
  }
  const planar = Uint8Array.from({ length: 3 * 8 * 12 }, () => rng.int(256))
  const logits = async (bytes: Uint8Array) => {
    const runner = await StudentRunner.create(student, bytes, { threads: 1 })
    const { data } = await runner.logits(planar)
    await runner.release()
    return data.slice()
  }
  const patched = await logits(withParameters(student, vector))
  t.same(patched, await logits(writeOnnx(built)))
  t.notSame(patched, await logits(student.bytes))
})

t.test('the digest of parameters is over all their bits', async t => {
  const vector = pattern(100)
  t.equal(parameterDigest(vector).length, 32)
  t.same(parameterDigest(vector), parameterDigest(vector.slice()))
  const other = vector.slice()
  other[50] = -0
  const zero = vector.slice()
  zero[50] = 0
  t.notSame(parameterDigest(other), parameterDigest(zero))
})

t.test('class names come from the JSON beside the file', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'kestrel-student-'))
  const path = join(folder, 'own.onnx')
  writeFileSync(path, writeOnnx(tinyModel({ classes: null })))
  t.throws(() => readStudentFile(path), { message: /does not name its classes: put/ })
  writeFileSync(join(folder, 'classes.json'), '{"classes": ["a", "b", "c"]}')
  t.same(readStudentFile(path).classes, ['a', 'b', 'c'])
  writeFileSync(
    join(folder, 'own.json'),
    '{"classes": ["d", "e", "f"], "palette": [[1,2,3],[4,5,6],[7,8,9]]}',
  )
  t.same(readStudentFile(path).classes, ['d', 'e', 'f'])
  t.same(readStudentFile(path).palette[2], [7, 8, 9])
  t.throws(() => readStudentFile(join(folder, 'none.onnx')), {
    name: 'UserError',
    message: /Cannot read the model/,
  })
})

const models = ['student-camvid11', 'student-voc21', 'safeuav-430k-480x272'].map(name =>
  sharedPath(`models/${name}.onnx`),
)
t.test('models from elsewhere load and run', needs(...models), async t => {
  const expected = [
    { parameters: 685787, classes: 11, input: 'image', width: 352, height: 256, batch: 'dynamic' },
    { parameters: 688357, classes: 21, input: 'image', width: 256, height: 256, batch: 'dynamic' },
    { parameters: 436018, classes: 8, input: 'rgb', width: 480, height: 272, batch: 1 },
  ] as const
  for (const [i, { parameters, classes, input, ...size }] of expected.entries()) {
    const student = readStudentFile(models[i]!)
    t.equal(student.parameterCount, parameters)
    t.equal(student.classes.length, classes)
    t.match(student.input, { name: input, ...size })
    t.equal(Buffer.compare(withParameters(student, readParameters(student)), student.bytes), 0)
    const runner = await StudentRunner.create(student, student.bytes, { threads: 1 })
    const image = {
      width: size.width,
      height: size.height,
      data: new Uint8Array(3 * size.width * size.height),
    }
    t.equal((await runner.label(image)).data.length, size.width * size.height)
    await runner.release()
  }
})
