#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { Command } from 'commander'

if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  console.error('kestrel-ground: not built yet; run "npm run build" first')
  process.exit(2)
}
const { configCommand, judgeCommand, pretrainCommand, reportFailure, startCommand } = await import(
  '@kestrel/ground-station'
)

const program = new Command('kestrel-ground')
  .description('Kestrel on the ground: keeps teaching the students of drones in flight')
  .version('0.1.0')
  .addCommand(startCommand())
  .addCommand(configCommand())
  .addCommand(pretrainCommand())
  .addCommand(judgeCommand())

try {
  // The evaluation brings charts and optical flow along; the others do without.
  if (!['start', 'config', 'pretrain', 'judge'].includes(process.argv[2])) {
    const { evaluateCommand } = await import('@kestrel/evaluate')
    program.addCommand(evaluateCommand())
  }
  await program.parseAsync()
} catch (error) {
  process.exitCode = reportFailure(error)
}
