import { InProcessHost, judge } from '@kestrel/agent'
import { readParameters, StudentRunner, withParameters } from '@kestrel/models'
import t from 'tap'
import { testImage, tinyStudent } from './support.js'

const fine = { finite: true, classes: 3 }
const collapsed = { finite: true, classes: 1 }

t.test('scores that are not finite are refused', async t => {
  t.notOk(judge([fine, { finite: false, classes: 3 }], [3, 3]).ok)
})

t.test('one class everywhere is refused, unless the flown weights see one class too', async t => {
  t.notOk(judge([collapsed, collapsed, collapsed], [3, 2, 1]).ok)
  t.ok(judge([collapsed, collapsed], [1, 1]).ok)
  t.ok(judge([fine, collapsed], [3, 2]).ok, 'a single frame may turn out to be of one class')
  t.ok(judge([fine], [1]).ok)
  t.ok(judge([], []).ok, 'nothing seen yet')
})

t.test(
  'a student in process: labels as its runner gives them, swaps, and a canary that means it',
  async t => {
    const student = tinyStudent()
    const host = await InProcessHost.create(student)
    t.teardown(() => host.release())
    const image = testImage(1)
    const labels = async (bytes: Uint8Array) => {
      const runner = await StudentRunner.create(student, bytes)
      const { data } = await runner.label(image)
      await runner.release()
      return data
    }
    t.same((await host.label(image)).data, await labels(student.bytes))
    await t.rejects(host.swap(), /no model is loaded/)
    await t.rejects(host.canary(), /no model is loaded/)

    const parameters = readParameters(student)
    const poisoned = withParameters(student, parameters.slice().fill(Number.NaN, 0, 4))
    await host.load(poisoned)
    t.match(await host.canary(), { ok: false, detail: /not finite/ })

    // The last parameters are the weights of the head: without them every class scores the same.
    const blind = withParameters(student, parameters.slice().fill(0, parameters.length - 15))
    await host.load(blind)
    t.match(await host.canary(), { ok: false, detail: /one class only/ })
    t.same((await host.label(image)).data, await labels(student.bytes), 'still the old weights')

    const next = withParameters(
      student,
      parameters.map(value => -value),
    )
    await host.load(next)
    t.match(await host.canary(), { ok: true })
    await host.swap()
    t.same((await host.label(image)).data, await labels(next))
  },
)
