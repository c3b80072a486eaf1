import { argv, stdout } from 'node:process'
import { makeModel, makeNode, makeValueInfo, writeOnnx } from '@kestrel/models'
import { messageOf } from '@kestrel/runtime'
import { openSession } from './session.js'

/*
 * Run as a process of its own by provider.ts: `provider-trial.js NAME` multiplies two matrices on an execution provider and
 * writes `ok`, or why not. A driver that takes the process with it takes only this one.
 */
const model = makeModel({
  nodes: [makeNode('MatMul', ['x', 'x'], ['y'])],
  inputs: [makeValueInfo('x', [2, 2])],
  outputs: [makeValueInfo('y', [2, 2])],
})
try {
  const { session, Tensor } = await openSession(writeOnnx(model), {
    executionProviders: [argv[2]],
    logSeverityLevel: 4,
  })
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2]) })
  stdout.write((y.data as Float32Array).join() === '7,10,15,22' ? 'ok' : `it gives ${y.data} for 7,10,15,22`)
} catch (error) {
  stdout.write(messageOf(error))
}
