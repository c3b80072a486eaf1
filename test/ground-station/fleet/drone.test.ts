import { Drone, type Job } from '@kestrel/ground-station'
import t from 'tap'

const segment = (drone: string, id = 0): Job => {
  const message = Uint8Array.of(id)
  return { kind: 'segment', drone, message, id: message }
}
const report = (drone: string): Job => ({
  kind: 'report',
  drone,
  report: { version: 0, digest: new Uint8Array(32) },
})

t.test('reports come before a phase that is due, that before segments', async t => {
  const drone = new Drone('a')
  drone.accept()
  t.equal(drone.next(0), undefined)
  drone.newFrames = 3
  drone.add(segment('a'), 0)
  drone.add(report('a'), 0)
  const kinds = () => drone.next(0)?.kind
  t.same(
    [kinds(), kinds(), kinds()],
    ['report', 'phase', 'phase'],
    'frames that keep coming do not starve training',
  )
  drone.phaseMs = 0
  drone.lesson.want({ samplingFps: 1, updatePeriodS: 5 })
  drone.lesson.periodS = 5
  t.equal(kinds(), 'segment')
  t.equal(drone.next(4999), undefined)
  t.equal(drone.wakeMs, 5000)
  t.equal(drone.next(5000)?.kind, 'phase')
  drone.lesson.periodS = 8
  t.equal(drone.next(7999), undefined, 'a stretched period is waited for')
  t.ok(drone.couldTrain(7999), 'unless nobody else needs the time')
  t.equal(drone.next(8000)?.kind, 'phase')
  drone.newFrames = 0
  t.equal(drone.next(9999), undefined, 'nothing new to learn from')
  t.equal(drone.wakeMs, undefined)
})

t.test('segments that wait are bounded: the oldest goes, and is counted', async t => {
  const drone = new Drone('a')
  drone.accept()
  const dropped = Array.from({ length: 11 }, (_, i) => drone.add(segment('a', i), 0))
  t.same(
    dropped.map(job => job?.id[0]),
    [...new Array(8).fill(undefined), 0, 1, 2],
  )
  t.notOk(drone.isUnfinished(Uint8Array.of(2)), 'it will not be worked on')
  t.ok(drone.isUnfinished(Uint8Array.of(3)))
  t.equal(drone.segmentsDropped, 3)
  const first = drone.next(0)
  t.ok(first?.kind === 'segment' && first.message[0] === 3)
})

t.test('what overtakes the status waits for it; what a refused drone sent is forgotten', async t => {
  const drone = new Drone('a')
  drone.add(segment('a'), 0)
  t.equal(drone.next(0), undefined)
  drone.accept()
  t.equal(drone.next(0)?.kind, 'segment')
  drone.add(segment('a'), 0)
  drone.refuse('it flies another student')
  t.equal(drone.next(0), undefined)
  drone.accept()
  t.equal(drone.next(0), undefined)
})
