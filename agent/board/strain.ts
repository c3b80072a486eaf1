import type { BoardState } from './board.js'

/** Ceilings that the frame rate keeps the board below. */
export interface Ceilings {
  /** Percent of all cores, or of the agent's CPU quota; 100: none. */
  maxCpu: number
  /** Percent of the board's memory, or of the agent's limit. */
  maxMemory: number
  /** °C; undefined: a little below where the board slows itself down. */
  maxTemperatureC?: number
}

/** What asks for fewer frames. */
export interface Strain {
  /** In plain words, worst first; empty where nothing is over a ceiling. */
  over: string[]
  /** Well below all ceilings: frames may come back. */
  calm: boolean
}

/** Frames come back only this far below a ceiling. */
const MARGIN = { cpu: 10, memory: 5, celsius: 5 }

/** Kept from the point where the kernel slows the board down; and the ceiling where it names no such point. */
const BELOW_PASSIVE_C = 3
const USUAL_CEILING_C = 85

/** Compares what the board says with the ceilings. */
export function strainOf(readings: BoardState, ceilings: Ceilings): Strain {
  const { cpu, memory, thermal, throttling } = readings
  const over: string[] = []
  let calm = true
  const judge = (value: number, ceiling: number, margin: number, what: string) => {
    if (value >= ceiling) over.push(what)
    if (value >= ceiling - margin) calm = false
  }
  if (throttling.underVoltage) over.push('the supply voltage is too low')
  if (throttling.thermalThrottled) over.push('the board is throttled by heat')
  else if (throttling.cpuThrottled) over.push('the board holds its clocks down')
  if (cpu.heldBack) over.push('the CPU quota is used up')
  if (thermal.temperatureC !== undefined) {
    const usual = thermal.passiveC === undefined ? USUAL_CEILING_C : thermal.passiveC - BELOW_PASSIVE_C
    const ceiling = ceilings.maxTemperatureC ?? usual
    judge(thermal.temperatureC, ceiling, MARGIN.celsius, `${thermal.temperatureC.toFixed(0)} °C`)
  }
  if (ceilings.maxCpu < 100) {
    const percent = 100 * Math.max(cpu.busy, cpu.quota)
    judge(percent, ceilings.maxCpu, MARGIN.cpu, `${percent.toFixed(0)} % CPU`)
  }
  const memoryPercent = 100 * memory.share
  judge(memoryPercent, ceilings.maxMemory, MARGIN.memory, `${memoryPercent.toFixed(0)} % of the memory`)
  return { over, calm: calm && over.length === 0 }
}
