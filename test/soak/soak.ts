import { createRng, RealClock, type Rng } from '@kestrel/runtime'
import { FaultProxy, type Weather } from '../support/fault-proxy.js'
import { CrewMember } from './crew.js'
import { SoakObserver } from './observer.js'
import { Backup, PERIOD_S, type SoakPlan, writePlan } from './plan.js'
import { readVitals, VitalsLog } from './vitals.js'

export interface SoakOptions {
  /** How long faults and kills go on; a calm end of `calmS` follows. */
  minutes: number
  drones: number
  /** kill -9 that many times at random moments. */
  kills: number
  /** Bad links, restarts, states of yesterday. */
  faults: boolean
  /** Folder for configurations, logs and states; what is there goes. */
  dir: string
  seed: number
  calmS?: number
  /** One line a minute, and what happens. */
  say?: (line: string) => void
}

export interface SoakVerdict {
  ok: boolean
  /** What must not be; empty where it is ok. */
  problems: string[]
  minutes: number
  kills: Record<string, number>
  /** By what went wrong on purpose. */
  faults: Record<string, number>
  drones: Record<
    string,
    {
      updates: number
      refused: number
      version: number
      segments: number
      segmentsDropped: number
      latencyP99MedianMs: number
      latencyP99WorstMs: number
    }
  >
  /** Greatest resident memory and number of descriptors, and growth in a life of at least 20 minutes. */
  processes: Record<
    string,
    { lives: number; maxRssMB: number; maxFds: number; growthMB?: number; growthFds?: number }
  >
  /** Catch-ups with all weights. */
  checkpoints: number
}

/** A long life may grow by this much after it has warmed up. */
const MAX_GROWTH = { rssMB: 80, fds: 10 }
/** No process of this size of student needs more. */
const MAX_RSS_MB = 1500
const MAX_FDS = 300
const LONG_LIFE_S = 1200
const SAMPLE_S = 5

/** Lines that no log may have: a state that did not load, a defect. */
const forbidden = [
  /Stored weights are not usable/,
  /Stored version \d+ does not run/,
  /cannot be used:/,
  /Training starts again from the student as shipped/,
  /training state of .* cannot be saved/,
  /^\s+at .*\.(js|ts):\d+/,
  /Unhandled|FATAL|out of memory/,
]

/** Real processes on this machine, through fault proxies and kill -9: does learning go on, and does every state load? */
export async function soak(options: SoakOptions): Promise<SoakVerdict> {
  const { minutes, kills, dir, seed, calmS = 60, say = () => {} } = options
  const run = new SoakRun(await writePlan(dir, options), options, say)
  try {
    await run.start()
    const clock = new RealClock()
    const endMs = clock.nowMs() + 60_000 * minutes
    await Promise.all([
      run.watch(endMs + 1000 * calmS, clock),
      run.killAtRandom(kills, endMs, clock, createRng(`${seed}/kills`)),
      options.faults ? run.beAtFault(endMs, clock, createRng(`${seed}/faults`)) : undefined,
    ])
    return await run.end()
  } finally {
    await run.stop()
  }
}

class SoakRun {
  readonly #plan: SoakPlan
  readonly #options: SoakOptions
  readonly #say: (line: string) => void
  readonly #members: CrewMember[] = []
  readonly #proxies = new Map<string, FaultProxy>()
  readonly #vitals = new Map<string, { pid: number; log: VitalsLog }[]>()
  readonly #observer: SoakObserver
  readonly #problems: string[] = []
  readonly #kills: Record<string, number> = {}
  readonly #faults: Record<string, number> = {}
  readonly #beganMs = performance.now()
  /** Members that are being killed or restarted. */
  readonly #busy = new Set<CrewMember>()
  #calmFromMs = Number.POSITIVE_INFINITY

  constructor(plan: SoakPlan, options: SoakOptions, say: (line: string) => void) {
    this.#plan = plan
    this.#options = options
    this.#say = say
    this.#observer = new SoakObserver(plan.url)
  }

  async start(): Promise<void> {
    const { plan, dir, seed } = { plan: this.#plan, ...this.#options }
    const onLost = ({ name }: { name: string }, how: string) =>
      this.#problems.push(`${name} ended by itself (${how}) after ${this.#seconds()} s`)
    const add = (member: ConstructorParameters<typeof CrewMember>[0]) => {
      const one = new CrewMember(member, { dir, onLost })
      this.#members.push(one)
      one.start()
    }
    add(plan.ground)
    for (const { name, agent, vehicle } of plan.drones) {
      const proxy = new FaultProxy({ targetPort: plan.brokerPort, seed: `${seed}/${name}` })
      await proxy.start()
      this.#proxies.set(name, proxy)
      add(vehicle)
      add(agent(proxy.port))
    }
  }

  /** kill -9 of any process, `count` times until `endMs`; each comes back after a moment. */
  async killAtRandom(count: number, endMs: number, clock: RealClock, rng: Rng): Promise<void> {
    const beginMs = clock.nowMs()
    const moments = Array.from({ length: count }, () => beginMs + rng.float() * (endMs - beginMs)).sort(
      (a, b) => a - b,
    )
    for (const moment of moments) {
      await clock.sleep(moment - clock.nowMs())
      const free = this.#members.filter(member => !this.#busy.has(member) && member.pid !== undefined)
      // Nobody is alive to be killed: in a moment somebody is.
      const victim = free[rng.int(Math.max(1, free.length))]
      if (victim === undefined) {
        await clock.sleep(1000)
        continue
      }
      const { name } = victim.member
      this.#kills[name] = (this.#kills[name] ?? 0) + 1
      void this.#restart(victim, 'SIGKILL', 500 + 2000 * rng.float(), clock)
    }
    while (this.#busy.size > 0) await clock.sleep(100)
  }

  /** One fault after the other, each on one drone or on the ground, with some calm between. */
  async beAtFault(endMs: number, clock: RealClock, rng: Rng): Promise<void> {
    const backups = new Map([
      ['ground', new Backup(this.#plan.groundState)],
      ...this.#plan.drones.map(({ name, stateDir }) => [name, new Backup(stateDir)] as const),
    ])
    const weathers: [string, Weather, number][] = [
      ['outage', { down: true }, 20],
      ['long outage', { down: true }, 120],
      ['half-open', { silent: true }, 40],
      ['32 kbit/s, 2 s round trip', { kbps: 32, delayMs: 1000 }, 60],
      ['loss', { loss: 0.02, delayMs: 50 }, 40],
    ]
    while (clock.nowMs() < endMs) {
      await clock.sleep(1000 * (5 + 15 * rng.float()))
      const drone = this.#plan.drones[rng.int(this.#plan.drones.length)]
      const which = rng.int(weathers.length + 3)
      const restS = (endMs - clock.nowMs()) / 1000
      if (restS <= 0) break
      if (which < weathers.length) {
        const [what, weather, forS] = weathers[which]
        this.#count(what)
        const proxy = this.#proxies.get(drone.name)!
        proxy.set(weather)
        await clock.sleep(1000 * Math.min(restS, forS * (0.5 + rng.float())))
        proxy.set({})
        continue
      }
      const name = which % 2 === 0 ? 'ground' : drone.name
      const member = this.#members.find(({ member }) => member.name === name)!
      if (this.#busy.has(member)) continue
      const backup = backups.get(name)!
      const isOlder = which === weathers.length + 2 && backup.exists
      this.#count(
        `${name === 'ground' ? 'ground station' : 'agent'} restarted${isOlder ? ' with an older state' : ''}`,
      )
      await this.#restart(member, 'SIGTERM', 500, clock, () => {
        if (isOlder) {
          backup.restore()
          // What the drone flies may now be what an earlier version was.
          for (const { name: other } of this.#plan.drones) this.#observer.forget(other)
        } else backup.take()
      })
    }
    for (const proxy of this.#proxies.values()) proxy.set({})
  }

  /** Reads vitals, and says how it goes, until `endMs`. */
  async watch(endMs: number, clock: RealClock): Promise<void> {
    const calmS = this.#options.calmS ?? 60
    let saidMs = clock.nowMs()
    while (clock.nowMs() < endMs) {
      await clock.sleep(Math.min(1000 * SAMPLE_S, endMs - clock.nowMs()))
      this.#sample()
      if (clock.nowMs() > endMs - 1000 * calmS)
        this.#calmFromMs = Math.min(this.#calmFromMs, performance.now())
      if (clock.nowMs() - saidMs < 60_000) continue
      saidMs = clock.nowMs()
      const drones = [...this.#observer.drones].map(
        ([name, { applied, version, waiting }]) =>
          `${name} version ${version} (${applied} updates, ${waiting} wait)`,
      )
      const killed = Object.values(this.#kills).reduce((sum, count) => sum + count, 0)
      this.#say(`${this.#seconds()} s: ${killed} kills; ${drones.sort().join(', ')}${this.#vitalsLine()}`)
    }
  }

  async end(): Promise<SoakVerdict> {
    const { minutes } = this.#options
    for (const { name } of this.#plan.drones) {
      const { lastAppliedMs } = this.#observer.drone(name)
      if (lastAppliedMs < this.#calmFromMs)
        this.#problems.push(`${name} took no update in the calm at the end`)
    }
    for (const { member, pid } of this.#members) {
      if (pid === undefined) this.#problems.push(`${member.name} does not run at the end`)
    }
    this.#problems.push(...this.#observer.faults)
    await this.stop()
    let checkpoints = 0
    for (const member of this.#members) {
      for (const line of member.lines()) {
        if (forbidden.some(pattern => pattern.test(line)))
          this.#problems.push(`${member.member.name} said: ${line}`)
        if (/sending all weights/.test(line)) checkpoints++
      }
    }
    const processes = this.#summarize()
    const problems = [...new Set(this.#problems)]
    return {
      ok: problems.length === 0,
      problems,
      minutes,
      kills: this.#kills,
      faults: this.#faults,
      drones: Object.fromEntries([...this.#observer.drones].map(([name, drone]) => [name, summary(drone)])),
      processes,
      checkpoints,
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(member => member.end('SIGTERM')))
    await Promise.all([...this.#proxies.values()].map(proxy => proxy.stop()))
    this.#proxies.clear()
    await this.#observer.close()
  }

  async #restart(
    member: CrewMember,
    signal: 'SIGKILL' | 'SIGTERM',
    pauseMs: number,
    clock: RealClock,
    between: () => void = () => {},
  ): Promise<void> {
    this.#busy.add(member)
    try {
      await member.end(signal)
      between()
      await clock.sleep(pauseMs)
      member.start()
    } catch (error) {
      this.#problems.push(`${member.member.name} could not be restarted: ${error}`)
    } finally {
      this.#busy.delete(member)
    }
  }

  #sample(): void {
    for (const { member, pid } of this.#members) {
      const vitals = pid === undefined ? undefined : readVitals(pid)
      if (pid === undefined || vitals === undefined) continue
      const lives = this.#vitals.get(member.name) ?? []
      this.#vitals.set(member.name, lives)
      if (lives.at(-1)?.pid !== pid) lives.push({ pid, log: new VitalsLog() })
      lives.at(-1)!.log.add(performance.now() / 1000, vitals)
    }
  }

  #summarize(): SoakVerdict['processes'] {
    const result: SoakVerdict['processes'] = {}
    for (const member of this.#members) {
      const { name } = member.member
      const logs = (this.#vitals.get(name) ?? []).map(({ log }) => log)
      const maxRssMB = Math.round(Math.max(0, ...logs.map(({ max }) => max.rssMB)))
      const maxFds = Math.max(0, ...logs.map(({ max }) => max.fds))
      const growths = logs.flatMap(log => log.growth(LONG_LIFE_S) ?? [])
      const growth =
        growths.length === 0
          ? undefined
          : {
              rssMB: Math.round(Math.max(...growths.map(g => g.rssMB))),
              fds: Math.max(...growths.map(g => g.fds)),
            }
      if (maxRssMB > MAX_RSS_MB) this.#problems.push(`${name} took ${maxRssMB} MB of memory`)
      if (maxFds > MAX_FDS) this.#problems.push(`${name} had ${maxFds} descriptors open`)
      if (growth !== undefined && growth.rssMB > MAX_GROWTH.rssMB) {
        this.#problems.push(`${name} grew by ${growth.rssMB} MB after it had warmed up`)
      }
      if (growth !== undefined && growth.fds > MAX_GROWTH.fds) {
        this.#problems.push(`${name} grew by ${growth.fds} descriptors after it had warmed up`)
      }
      result[name] = {
        lives: member.lives,
        maxRssMB,
        maxFds,
        ...(growth && { growthMB: growth.rssMB, growthFds: growth.fds }),
      }
    }
    return result
  }

  #vitalsLine(): string {
    const parts = [...this.#vitals].map(
      ([name, lives]) => `${name} ${Math.round(lives.at(-1)!.log.max.rssMB)} MB`,
    )
    return `; ${parts.join(', ')}`
  }

  #count(what: string): void {
    this.#faults[what] = (this.#faults[what] ?? 0) + 1
    this.#say(`${this.#seconds()} s: ${what}`)
  }

  #seconds(): number {
    return Math.round((performance.now() - this.#beganMs) / 1000)
  }
}

function summary(drone: ReturnType<SoakObserver['drone']>): SoakVerdict['drones'][string] {
  const sorted = [...drone.latencies].sort((a, b) => a - b)
  const round = (value: number | undefined) => Math.round(10 * (value ?? 0)) / 10
  return {
    updates: drone.applied,
    refused: drone.refused,
    version: drone.version,
    segments: drone.segments,
    segmentsDropped: drone.segmentsDropped,
    latencyP99MedianMs: round(sorted[Math.floor(sorted.length / 2)]),
    latencyP99WorstMs: round(sorted.at(-1)),
  }
}

/** Least calm in which an update must fly, s. */
export const LEAST_CALM_S = 5 * PERIOD_S
