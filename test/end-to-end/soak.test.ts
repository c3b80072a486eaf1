import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { soak } from '../soak/soak.js'

// Generous: the machine may be a small one, and busy.
t.setTimeout(300_000)

t.test(
  'kill -9 of agent, ground station and vehicle at random: learning goes on, every state loads',
  async t => {
    const dir = mkdtempSync(join(tmpdir(), 'kestrel-soak-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    const verdict = await soak({ minutes: 0.4, calmS: 25, drones: 1, kills: 3, faults: false, dir, seed: 11 })
    t.same(verdict.problems, [])
    t.same(verdict.kills, { ground: 1, 'vehicle-1': 1, 'drone-1': 1 })
    t.ok(verdict.drones['drone-1'].updates > 0, JSON.stringify(verdict))
  },
)
