import { TruthStore } from '@kestrel/evaluate'
import { UserError } from '@kestrel/runtime'
import fc from 'fast-check'
import t from 'tap'

t.test('labels come back as they were stored, in any order', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 12, maxLength: 12 }), { minLength: 1, maxLength: 20 }),
      maps => {
        const store = new TruthStore()
        try {
          for (const data of maps) store.append({ width: 4, height: 3, data })
          return maps
            .map((data, i) => ({ data, i }))
            .reverse()
            .every(({ data, i }) => Buffer.from(store.read(i).data).equals(Buffer.from(data)))
        } finally {
          store.dispose()
        }
      },
    ),
  )
})

t.test('the digest is of the labels, and tells one of them changed', async t => {
  const digest = (...values: number[]) => {
    const store = new TruthStore()
    for (const value of values) store.append({ width: 1, height: 1, data: Uint8Array.of(value) })
    const hex = store.digest()
    store.dispose()
    return hex
  }
  t.equal(digest(1, 2, 3), digest(1, 2, 3))
  t.not(digest(1, 2, 3), digest(1, 2, 4))
})

t.test('a map of another size is refused, both sizes named', async t => {
  const store = new TruthStore()
  t.teardown(() => store.dispose())
  store.append({ width: 2, height: 1, data: Uint8Array.of(0, 0) })
  try {
    store.append({ width: 1, height: 2, data: Uint8Array.of(0, 0) })
    t.fail('it was taken')
  } catch (error) {
    t.ok(error instanceof UserError)
    t.match((error as Error).message, /1.2.*2.1/)
  }
})
