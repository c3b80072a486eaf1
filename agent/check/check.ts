import { existsSync } from 'node:fs'
import { UserError } from '@kestrel/runtime'
import { type AgentConfig, loadAgentConfig, parseAgentConfig } from '../service/config.js'
import { checkBoard, checkDisk } from './board.js'
import { checkBroker, checkCamera, checkStudent, runningAgent } from './flight.js'
import { type Check, type Row, rowOf } from './row.js'
import { checkVehicle } from './vehicle.js'

/** What is looked at where there is no usable configuration. */
const leastConfig = {
  drone: 'kestrel-1',
  student: 'student.onnx',
  camera: { source: '/dev/video0' },
  vehicle: { endpoint: 'serial:/dev/serial0:921600' },
}

/**
 * Tries every part that a flight needs, one after the other; one that fails does not hide the next.
 *
 * @param file agent.yaml
 * @param onRow called as soon as a part is known
 * @param options.root where /proc and /sys lie
 * @returns whether all of them work
 */
export async function checkAll(
  file: string,
  onRow: (row: Row) => void,
  options: { root?: string } = {},
): Promise<boolean> {
  let works = true
  const add = async (check: Check) => {
    const row = await rowOf(check)
    works &&= row.works
    onRow(row)
  }
  let config: AgentConfig | undefined
  await add({
    part: 'config',
    run() {
      if (!existsSync(file)) {
        throw new UserError(
          `There is no ${file}: copy agent.example.yaml there; what follows is about the defaults`,
        )
      }
      config = loadAgentConfig(file)
      return `${file}: drone ${config.drone}`
    },
  })
  const used = config ?? parseAgentConfig(leastConfig)
  const running = await runningAgent(used)
  const checks: Check[] = [
    { part: 'student', run: () => checkStudent(used) },
    { part: 'camera', run: () => checkCamera(used, running) },
    { part: 'broker', run: () => checkBroker(used) },
    { part: 'vehicle', run: () => checkVehicle(used, running) },
    { part: 'disk', run: () => checkDisk(used) },
    { part: 'board', run: () => checkBoard(used, options) },
  ]
  for (const check of checks) await add(check)
  return works
}
