import { join } from 'node:path'
import { evaluate, type Played, play } from '@kestrel/evaluate'
import { silentLog } from '@kestrel/runtime'
import t from 'tap'
import { writeScene } from '../support/scene.js'
import { makeWorld } from './world.js'

t.setTimeout(300_000)

const dir = t.testdir()
const world = makeWorld(dir, { seconds: 5 })
const small = writeScene(join(dir, 'small'), { seconds: 1, fps: 1, width: 48, height: 36, seed: 1 })

async function collect(options: Parameters<typeof play>[0]): Promise<Played[]> {
  const played: Played[] = []
  for await (const one of play(options)) played.push(one)
  return played
}

t.test('clips in a row, over and over, are one flight', async t => {
  const played = await collect({ sources: [world.frames, world.frames], repeat: 3, fps: 2, log: silentLog })
  const count = 30
  t.strictSame(
    played.map(({ frame }) => frame.id),
    Array.from({ length: count }, (_, i) => i),
  )
  t.strictSame(
    played.map(({ t }) => t),
    Array.from({ length: count }, (_, i) => i / 2),
    'half a second apart, over the joins too',
  )
  t.strictSame(
    played.map(({ frame }) => frame.sourceIndex),
    Array.from({ length: count }, (_, i) => i % 10),
    'the same frame of another round has the same label',
  )
  t.strictSame(
    played.map(({ frame }) => Buffer.from(frame.image.data).toString('base64')).slice(0, 5),
    played.map(({ frame }) => Buffer.from(frame.image.data).toString('base64')).slice(25),
  )
})

t.test('clips of different sizes, and labels of one clip for several, are errors that say so', async t => {
  const { frames } = world
  await t.rejects(collect({ sources: [frames, small.frames], fps: 1, log: silentLog }), /must have one size/)
  const teacher = `labels:${world.labels}`
  const options = {
    video: frames,
    concat: [frames],
    fps: 1,
    teacher,
    student: world.student,
    schemes: 'none',
  }
  await t.rejects(evaluate(options), /labels of a folder belong to one/)
})

t.test('a loop is scored over all of its rounds', async t => {
  const options = { video: world.frames, fps: 1, teacher: `labels:${world.labels}`, student: world.student }
  const once = await evaluate({ ...options, schemes: 'none' })
  const thrice = await evaluate({ ...options, schemes: 'none', loop: 3 })
  t.match(thrice.video, { frames: 15, durationS: 15 })
  t.equal(thrice.schemes.none.series.length, 15)
  t.equal(thrice.schemes.none.miouVideo, once.schemes.none.miouVideo, 'without learning, no round is better')
  t.equal(thrice.teacher.labelsSha256, once.teacher.labelsSha256, 'labelled once')
})
