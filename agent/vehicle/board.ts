import { computerStatusFlags, OnboardComputerStatus } from '@kestrel/link/mavlink'

/** What is known of the computer; what is not measured is left out. */
export interface BoardStatus {
  /** 0..100, each core. */
  cpuPercent?: number[]
  gpuPercent?: number[]
  /** °C */
  boardC?: number
  coreC?: number[]
  ramUsedMiB?: number
  ramTotalMiB?: number
  diskUsedMiB?: number
  diskTotalMiB?: number
  undervoltage?: boolean
  cpuThrottled?: boolean
  thermallyThrottled?: boolean
  diskFull?: boolean
}

/** Reads the computer that the agent runs on; must return at once. */
export interface BoardReadings {
  read(): BoardStatus | undefined
}

/** ONBOARD_COMPUTER_STATUS (#390). @param upMs since the agent's start */
export function onboardComputerStatus(
  board: BoardStatus,
  unixMs: number,
  upMs: number,
): OnboardComputerStatus {
  const status = new OnboardComputerStatus()
  status.timeUsec = BigInt(Math.round(unixMs * 1000))
  status.uptime = Math.max(0, Math.round(upMs)) % 2 ** 32
  fill(status.cpuCores, board.cpuPercent, percent)
  fill(status.gpuCores, board.gpuPercent, percent)
  if (board.cpuPercent !== undefined && board.cpuPercent.length > 0) {
    const sum = board.cpuPercent.reduce((total, value) => total + value, 0)
    status.cpuCombined[0] = percent(sum / board.cpuPercent.length)
  }
  if (board.boardC !== undefined) status.temperatureBoard = celsius(board.boardC)
  fill(status.temperatureCore, board.coreC, celsius)
  status.ramUsage = mebibytes(board.ramUsedMiB) ?? status.ramUsage
  status.ramTotal = mebibytes(board.ramTotalMiB) ?? status.ramTotal
  status.storageUsage[0] = mebibytes(board.diskUsedMiB) ?? status.storageUsage[0]
  status.storageTotal[0] = mebibytes(board.diskTotalMiB) ?? status.storageTotal[0]
  status.statusFlags =
    (board.undervoltage ? computerStatusFlags.UNDER_VOLTAGE : 0) |
    (board.cpuThrottled ? computerStatusFlags.CPU_THROTTLE : 0) |
    (board.thermallyThrottled ? computerStatusFlags.THERMAL_THROTTLE : 0) |
    (board.diskFull ? computerStatusFlags.DISK_FULL : 0)
  return status
}

function fill(into: number[], from: number[] | undefined, convert: (value: number) => number): void {
  for (const [i, value] of (from ?? []).slice(0, into.length).entries()) into[i] = convert(value)
}

const percent = (value: number) =>
  Number.isFinite(value) ? Math.round(Math.min(100, Math.max(0, value))) : 255
const celsius = (value: number) =>
  Number.isFinite(value) ? Math.round(Math.min(126, Math.max(-128, value))) : 127
const mebibytes = (value: number | undefined) =>
  value === undefined || !(value >= 0) ? undefined : Math.min(2 ** 32 - 2, Math.round(value))
