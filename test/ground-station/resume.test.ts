import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FakeDrone, writeGroundFiles } from '../support/ground-files.js'
import { bins, freePort, start, waitFor } from '../support/processes.js'

t.test(
  'a ground station that is killed in flight resumes within one phase',
  { timeout: 600_000 },
  async t => {
    const dir = await writeGroundFiles('kestrel-resume-')
    const port = await freePort()
    const file = join(dir, 'ground.yaml')
    const ams = {
      updatePeriodS: 1,
      iterations: 5,
      batchSize: 4,
      fraction: 0.3,
      alpha: 5e-3,
      holdOutFraction: 0,
    }
    writeFileSync(
      file,
      JSON.stringify({
        listen: { port },
        student: 'student.onnx',
        teacher: 'labels:labels',
        training: { threads: 1 },
        dashboard: { enabled: false },
        ams,
      }),
    )
    let ground = start(bins.ground, ['start', '--config', file])
    const drone = new FakeDrone(`mqtt://127.0.0.1:${port}`, 'scout')
    t.teardown(async () => {
      await drone.close()
      await ground.stop('SIGKILL')
    })
    const until = (what: string, condition: () => boolean) =>
      waitFor(what, condition, { timeoutS: 300, context: () => ground.output() })
    let first = 0
    const segment = async () => {
      await drone.segment(first)
      first += 4
    }
    /** Frames that each phase so far has trained on. */
    const trainedOn = () =>
      [...ground.output().matchAll(/scout: phase (\d+): .*? iterations on (\d+) frames/g)].map(
        ([, phase, frames]) => [Number(phase), Number(frames)],
      )
    await until('control', () => drone.controls > 0)
    for (let i = 1; i <= 4; i++) {
      await segment()
      await until(`update ${i}`, () => drone.applied.length === i)
    }
    t.same(trainedOn().at(-1), [4, 16])

    // In the middle of a phase or of labelling, as it comes.
    for (const delayMs of [0, 40, 120]) {
      await segment()
      await new Promise(resolve => setTimeout(resolve, delayMs))
      await ground.stop('SIGKILL')
      const controls = drone.controls
      const before = drone.applied.at(-1)!
      ground = start(bins.ground, ['start', '--config', file])
      await until('control after the restart', () => drone.controls > controls)
      await segment()
      await until('a phase after the restart', () => trainedOn().length > 0)
      const [phase, frames] = trainedOn()[0]
      t.ok(phase >= 5, `the phases are counted on: ${phase}`)
      t.ok(
        frames >= 16 + 4,
        `the first phase after the restart trains on ${frames} frames, 4 of which are new`,
      )
      await until('an update of that phase', () => drone.applied.at(-1)! > before)
      t.match(ground.output(), /Training resumes after phase \d+, version \d+, with \d+ labelled frames/)
    }
    t.same(drone.refused, [], 'no update that does not fit')
  },
)
