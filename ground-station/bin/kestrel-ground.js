#!/usr/bin/env node
import { configCommand, reportFailure, startCommand } from '@kestrel/ground-station'
import { Command } from 'commander'

const program = new Command('kestrel-ground')
  .description('Kestrel on the ground: keeps teaching the students of drones in flight')
  .version('0.1.0')
  .addCommand(startCommand())
  .addCommand(configCommand())

try {
  // The evaluation brings charts and optical flow along; the two others do without.
  if (!['start', 'config'].includes(process.argv[2])) {
    const { evaluateCommand } = await import('@kestrel/evaluate')
    program.addCommand(evaluateCommand())
  }
  await program.parseAsync()
} catch (error) {
  process.exitCode = reportFailure(error)
}
