import { fine } from './network.js'
import { NAME, SimDrone } from './sim-drone.js'
import { SimGround } from './sim-ground.js'
import { World } from './world.js'

type Side = 'drone' | 'ground'

/** Something that goes wrong `atS` seconds into a flight. */
export type Fault = { atS: number } & (
  | { kind: 'outage'; side: Side; forS: number; noticed: boolean }
  | { kind: 'slow'; side: Side; forS: number; kbps: number; rttS: number }
  | { kind: 'noise'; side: Side; forS: number; duplicates: number; reordered: number; lost: number }
  | { kind: 'broker'; forS: number }
  /** `back`: with a state of so many saves ago; 99: with none. `clockS`: its clock is that wrong from then on. */
  | { kind: 'crash'; side: Side; forS: number; back: number; clockS: number }
  | { kind: 'rollBack'; by: 'pilot' | 'ground' }
)

/** Both sides must agree again, and something new must fly, this long after the last fault, s. */
const HEAL_S = 300

/** No plan takes longer, s. */
const LONGEST_S = 7200

export interface Flight {
  /** What must not be; empty if all is well. */
  faults: string[]
  /** What happened, for people. */
  log: string[]
  healedS: number
  swaps: number
  segments: { made: number; taken: number; dropped: number; unconfirmed: number; twice: number }
}

/** Flies through faults in virtual time, then through fair weather, and looks whether everything has healed. */
export async function fly(seed: number, plan: Fault[]): Promise<Flight> {
  const world = await World.create(seed)
  const { clock, network } = world
  const drone = new SimDrone(world, seed)
  const ground = new SimGround(world)
  const dead = new Map<Side, number>()
  const nameOf = (side: Side) => (side === 'drone' ? NAME : 'ground')

  async function crash(side: Side, forS: number, back: number, clockS: number): Promise<void> {
    const process = side === 'drone' ? drone : ground
    dead.set(side, (dead.get(side) ?? 0) + 1)
    process.crash()
    if (back > 0) side === 'drone' ? drone.restoreDisk(back) : ground.restoreState(back)
    process.setClock(1000 * clockS)
    await clock.sleep(1000 * forS)
    const others = dead.get(side)! - 1
    dead.set(side, others)
    if (others === 0) await process.start()
  }

  async function happen(fault: Fault): Promise<void> {
    await clock.sleep(1000 * fault.atS)
    world.say(JSON.stringify(fault))
    switch (fault.kind) {
      case 'outage':
        return network.outage(nameOf(fault.side), 1000 * fault.forS, fault.noticed)
      case 'slow': {
        const { kbps, rttS, side, forS } = fault
        network.setConditions(nameOf(side), { ...fine, delayMs: 500 * rttS, bytesPerS: 125 * kbps })
        await clock.sleep(1000 * forS)
        return network.setConditions(nameOf(side), undefined)
      }
      case 'noise': {
        const { duplicates, reordered, lost, side, forS } = fault
        network.setConditions(nameOf(side), { ...fine, duplicates, reordered, lost })
        await clock.sleep(1000 * forS)
        return network.setConditions(nameOf(side), undefined)
      }
      case 'broker':
        return network.restartBroker(1000 * fault.forS)
      case 'crash':
        return crash(fault.side, fault.forS, fault.back, fault.clockS)
      case 'rollBack':
        // Not waited for: whoever is asked may die over it.
        if (fault.by === 'pilot') void drone.rollBack()
        else ground.rollBack()
    }
  }

  await Promise.all([ground.start(), drone.start()])
  let over = false
  void Promise.all(plan.map(happen)).then(() => {
    over = true
  })
  while (!over && clock.nowMs() < 1000 * LONGEST_S) await clock.advanceTo(clock.nowMs() + 10_000)
  if (!over) world.fault(`the faults are not over after ${LONGEST_S} s`)
  world.say('the faults are over')
  const endMs = clock.nowMs()
  const swapsBefore = drone.applied
  const agree = () => drone.digest !== undefined && drone.digest === ground.settledDigest
  const healed = () => agree() && drone.applied >= swapsBefore + 1 && drone.waiting === 0
  while (!healed() && clock.nowMs() < endMs + 1000 * HEAL_S) await clock.advanceTo(clock.nowMs() + 2000)
  if (!healed()) {
    world.fault(
      `${HEAL_S} s after the last fault: drone ${drone.version} ${drone.digest?.slice(0, 8)}, ground ${ground.version} ` +
        `${ground.settledDigest?.slice(0, 8)}, ${drone.applied - swapsBefore} swaps since, ${drone.waiting} segments wait`,
    )
  }
  const segments = account(world, drone)
  return {
    faults: world.faults,
    log: world.log,
    healedS: (clock.nowMs() - endMs) / 1000,
    swaps: drone.applied,
    segments,
  }
}

/** Every segment has been taken, or is counted as dropped; and no life of the ground has taken it twice. */
function account(world: World, drone: SimDrone): Flight['segments'] {
  const made = world.made.size
  const taken = [...world.taken.keys()].filter(id => world.made.has(id)).length
  const lives = [...world.taken.values()].flatMap(counts => [...counts.values()])
  const { dropped, unconfirmed, waiting } = drone
  if (lives.some(count => count > 1)) world.fault('the ground took a segment twice')
  // What waits at the end may have been taken: its receipt is on its way.
  const missing = made - taken
  if (missing > dropped + unconfirmed + waiting) {
    world.fault(
      `${missing} segments never arrived; only ${dropped} + ${unconfirmed} are counted, ${waiting} wait`,
    )
  }
  if (missing < dropped)
    world.fault(`${dropped} segments are counted as dropped, but only ${missing} did not arrive`)
  return { made, taken, dropped, unconfirmed, twice: lives.filter(count => count > 1).length }
}
