import { Command } from 'commander'
import { loadScenario, openFlight, scenarioNames } from '../scenario.js'

/** `kestrel-sim scenarios`: a line each. */
export function scenariosCommand(): Command {
  return new Command('scenarios').description('list the flights that come with Kestrel').action(() => {
    for (const name of scenarioNames()) {
      const scenario = loadScenario(name)
      const minutes = (openFlight(scenario).durationS / 60).toFixed(0)
      const held = scenario.heldOut ? ' (held out: no model may be trained on it)' : ''
      process.stdout.write(`${name.padEnd(22)} ${minutes.padStart(2)} min  ${scenario.description}${held}\n`)
    }
  })
}
