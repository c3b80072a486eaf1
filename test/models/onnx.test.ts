import { create } from '@bufbuild/protobuf'
import {
  makeTensor,
  readOnnx,
  TensorProtoSchema,
  tensorData,
  tensorNumbers,
  writeOnnx,
} from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'
import { tinyModel } from '../support/students.js'

t.test('tensors round trip in every type that we make', async t => {
  for (const data of [
    Float32Array.of(1, -2.5, 1e-8),
    Float64Array.of(1, -2.5, 1e-300),
    BigInt64Array.of(1n, -2n, 1n << 60n),
    Int32Array.of(1, -2, 3),
    Uint8Array.of(1, 2, 255),
  ]) {
    const read = tensorData(makeTensor('x', [3], data))
    t.same(read.dims, [3])
    t.same(read.data, data)
  }
})

t.test('values in typed fields and at unaligned offsets are read alike', async t => {
  const typed = create(TensorProtoSchema, { name: 'x', dims: [2n], dataType: 1, floatData: [1.5, -2] })
  t.same(tensorData(typed).data, Float32Array.of(1.5, -2))
  const bytes = new Uint8Array(13)
  new DataView(bytes.buffer).setFloat32(1, 1.5, true)
  new DataView(bytes.buffer).setFloat32(5, -2, true)
  const raw = create(TensorProtoSchema, { name: 'x', dims: [2n], dataType: 1, rawData: bytes.subarray(1, 9) })
  t.same(tensorData(raw).data, Float32Array.of(1.5, -2))
  const shape = create(TensorProtoSchema, { name: 'x', dims: [2n], dataType: 7, int64Data: [-1n, 8n] })
  t.same(tensorNumbers(shape), [-1, 8])
})

t.test('dimensions that do not match the data are refused', async t => {
  for (const dims of [[3n], [-2n], [1n << 40n, 1n << 40n]]) {
    const tensor = create(TensorProtoSchema, { name: 'x', dims, dataType: 1, rawData: new Uint8Array(8) })
    t.throws(() => tensorData(tensor), RangeError)
  }
})

t.test('float initializers always end up as views into the bytes', async t => {
  const proto = tinyModel()
  const weight = proto.graph!.initializer.find(tensor => tensor.name === 'down.w')!
  const before = tensorData(weight).data.slice()
  weight.floatData = Array.from(before as Float32Array)
  weight.rawData = new Uint8Array(0)
  const model = readOnnx(writeOnnx(proto), 'typed.onnx')
  for (const tensor of model.proto.graph!.initializer) {
    t.equal(tensor.rawData.buffer, model.bytes.buffer, tensor.name)
  }
  t.same(tensorData(model.proto.graph!.initializer.find(({ name }) => name === 'down.w')!).data, before)
})

t.test('a model keeps what we do not know of', async t => {
  const bytes = writeOnnx(tinyModel())
  // Field 25 of ModelProto (functions) is not in our schema: an empty one, two bytes of tag and one of length.
  const extended = new Uint8Array([...bytes, 0xca, 0x01, 0x00])
  t.same(writeOnnx(readOnnx(extended, 'x').proto).length, extended.length)
})

t.test('what is no ONNX model gets one clear error', async t => {
  const good = writeOnnx(tinyModel())
  t.throws(() => readOnnx(new Uint8Array(0), 'a.onnx'), {
    name: 'UserError',
    message: /^a\.onnx is not an ONNX/,
  })
  t.throws(() => readOnnx(new TextEncoder().encode('<html>404</html>'), 'a.onnx'), UserError)
  t.throws(() => readOnnx(good.subarray(0, good.length - 5), 'a.onnx'), {
    name: 'UserError',
    message: /a\.onnx is not a complete ONNX model .* again/,
  })
  const external = tinyModel()
  external.graph!.initializer[1].dataLocation = 1
  t.throws(() => readOnnx(writeOnnx(external), 'a.onnx'), { message: /"down\.w" in another file/ })
  const lying = tinyModel()
  lying.graph!.initializer[1].dims = [4n, 3n, 3n, 300000n]
  t.throws(() => readOnnx(writeOnnx(lying), 'a.onnx'), {
    name: 'UserError',
    message: /"down\.w" of 4x3x3x300000/,
  })
  const absurd = tinyModel()
  absurd.graph!.initializer[1].dims = [1n << 62n, 1n << 62n]
  t.throws(() => readOnnx(writeOnnx(absurd), 'a.onnx'), { name: 'UserError', message: /claims/ })
  const twice = tinyModel()
  twice.graph!.initializer[2].name = 'down.w'
  t.throws(() => readOnnx(writeOnnx(twice), 'a.onnx'), { name: 'UserError', message: /two initializers/ })
})

t.test('truncated, garbled and random bytes never do more than raise a UserError', async t => {
  const good = writeOnnx(tinyModel())
  const read = (bytes: Uint8Array) => {
    try {
      readOnnx(bytes, 'fuzz.onnx')
    } catch (error) {
      if (!(error instanceof UserError)) throw error
    }
  }
  for (let length = 0; length < good.length; length += 3) read(good.subarray(0, length))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      edits => {
        const bytes = good.slice()
        for (const [at, value] of edits) bytes[at] = value
        read(bytes)
      },
    ),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => read(bytes)),
    { numRuns: 1000 },
  )
  t.pass('no other error')
})
