import { MavLinkData, MavLinkPacketField } from 'mavlink-mappings'

/** COMPUTER_STATUS_FLAGS, a bit mask. */
export const computerStatusFlags = {
  UNDER_VOLTAGE: 1,
  CPU_THROTTLE: 2,
  THERMAL_THROTTLE: 4,
  DISK_FULL: 8,
} as const

/** ONBOARD_COMPUTER_STATUS (#390), which mavlink-mappings lacks. Unused numbers are the greatest of their type. */
export class OnboardComputerStatus extends MavLinkData {
  static override readonly MSG_ID = 390
  static override readonly MSG_NAME = 'ONBOARD_COMPUTER_STATUS'
  static override readonly PAYLOAD_LENGTH = 240
  /** CRC_EXTRA; the tests compute it from the fields. */
  static override readonly MAGIC_NUMBER = 156
  static override readonly FIELDS = [
    field('time_usec', 'timeUsec', 0, 8, 'uint64_t'),
    field('uptime', 'uptime', 8, 4, 'uint32_t'),
    field('ram_usage', 'ramUsage', 12, 4, 'uint32_t'),
    field('ram_total', 'ramTotal', 16, 4, 'uint32_t'),
    field('storage_type', 'storageType', 20, 4, 'uint32_t[]', 4),
    field('storage_usage', 'storageUsage', 36, 4, 'uint32_t[]', 4),
    field('storage_total', 'storageTotal', 52, 4, 'uint32_t[]', 4),
    field('link_type', 'linkType', 68, 4, 'uint32_t[]', 6),
    field('link_tx_rate', 'linkTxRate', 92, 4, 'uint32_t[]', 6),
    field('link_rx_rate', 'linkRxRate', 116, 4, 'uint32_t[]', 6),
    field('link_tx_max', 'linkTxMax', 140, 4, 'uint32_t[]', 6),
    field('link_rx_max', 'linkRxMax', 164, 4, 'uint32_t[]', 6),
    field('fan_speed', 'fanSpeed', 188, 2, 'int16_t[]', 4),
    field('type', 'type', 196, 1, 'uint8_t'),
    field('cpu_cores', 'cpuCores', 197, 1, 'uint8_t[]', 8),
    field('cpu_combined', 'cpuCombined', 205, 1, 'uint8_t[]', 10),
    field('gpu_cores', 'gpuCores', 215, 1, 'uint8_t[]', 4),
    field('gpu_combined', 'gpuCombined', 219, 1, 'uint8_t[]', 10),
    field('temperature_board', 'temperatureBoard', 229, 1, 'int8_t'),
    field('temperature_core', 'temperatureCore', 230, 1, 'int8_t[]', 8),
    // An extension.
    field('status_flags', 'statusFlags', 238, 2, 'uint16_t', 0, true),
  ]

  /** Unix time, µs. */
  timeUsec = 0n
  /** ms */
  uptime = 0
  /** MiB */
  ramUsage = unused(1, 32)[0]
  ramTotal = unused(1, 32)[0]
  storageType = unused(4, 32)
  /** MiB */
  storageUsage = unused(4, 32)
  storageTotal = unused(4, 32)
  linkType = unused(6, 32)
  /** KiB/s */
  linkTxRate = unused(6, 32)
  linkRxRate = unused(6, 32)
  linkTxMax = unused(6, 32)
  linkRxMax = unused(6, 32)
  /** rpm */
  fanSpeed = unused(4, 15)
  /** 0: mission computer, primary. */
  type = 0
  /** %, each core, then all of them in ten earlier moments, newest first. */
  cpuCores = unused(8, 8)
  cpuCombined = unused(10, 8)
  gpuCores = unused(4, 8)
  gpuCombined = unused(10, 8)
  /** °C */
  temperatureBoard = unused(1, 7)[0]
  temperatureCore = unused(8, 7)
  statusFlags = 0
}

function unused(length: number, bits: number): number[] {
  return Array<number>(length).fill(2 ** bits - 1)
}

function field(
  source: string,
  name: string,
  offset: number,
  size: number,
  type: string,
  length = 0,
  extension = false,
): MavLinkPacketField {
  return new MavLinkPacketField(source, name, offset, extension, size, type, '', length)
}
