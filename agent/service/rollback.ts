import { join } from 'node:path'
import { parameterDigest, readStudentFile } from '@kestrel/models'
import { type Log, messageOf, UserError } from '@kestrel/runtime'
import { SlotStore } from '../student/store.js'
import type { AgentConfig } from './config.js'
import { agentSockets, askAgent } from './control-socket.js'
import type { AgentStatus } from './status-module.js'

/**
 * Goes back to the weights before: in flight where the agent runs, at its next start otherwise.
 *
 * @returns what was done, a sentence
 * @throws UserError where the shipped model flies, or it cannot be done
 */
export async function rollBack(config: AgentConfig, log: Log): Promise<string> {
  for (const path of agentSockets(config.stateDir)) {
    const status = (await askAgent(path, { command: 'status' })) as AgentStatus | undefined
    // The service may run with another state: its weights are not meant.
    if (status?.stateDir === config.stateDir) return String(await askAgent(path, { command: 'rollback' }))
  }
  return rollBackStored(config, log)
}

/**
 * Goes back to the weights before on disk, for the next start of an agent that does not run.
 *
 * @returns what was done, a sentence
 * @throws UserError where the shipped model flies, or the files cannot be changed
 */
async function rollBackStored(config: AgentConfig, log: Log): Promise<string> {
  const student = readStudentFile(config.student)
  const folder = join(config.stateDir, 'weights')
  const store = new SlotStore({ folder, student, log })
  const [flown, previous] = await store.load()
  if (previous === undefined) {
    throw new UserError(
      `${config.drone} flies the student as shipped: there is nothing to roll back in ${folder}`,
    )
  }
  try {
    await store.fallBack(parameterDigest(previous.parameters))
  } catch (cause) {
    throw new UserError(
      `The weights in ${folder} cannot be changed: ${messageOf(cause)}; run this as the user that the agent runs as`,
      { cause },
    )
  }
  const to = previous.version === 0 ? 'the student as shipped' : `version ${previous.version}`
  return `Version ${flown.version} is set aside; ${to} flies at the next start`
}
