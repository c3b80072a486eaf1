#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { Command } from 'commander'

if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  console.error('kestrel-ground: not built yet; run "npm run build" first')
  process.exit(2)
}

const program = new Command('kestrel-ground')
  .description('Kestrel on the ground: keeps teaching the students of drones in flight')
  .version('0.1.0')
const command = process.argv[2]
const reviews = ['review', 'report', 'export'].includes(command)
const flies = ['start', 'config', 'dashboard', 'pair', 'pretrain', 'judge'].includes(command)
let reportFailure
// Each command loads what it needs: looking at flights needs neither a broker nor a teacher, and only the evaluation brings agent and simulator along.
if (!reviews) {
  const ground = await import('@kestrel/ground-station')
  reportFailure = ground.reportFailure
  program
    .addCommand(ground.startCommand())
    .addCommand(ground.configCommand())
    .addCommand(ground.pairCommand())
    .addCommand(ground.dashboardCommand())
    .addCommand(ground.pretrainCommand())
    .addCommand(ground.judgeCommand())
}
if (!flies) {
  const review = await import('@kestrel/ground-station/review')
  reportFailure ??= review.reportFailure
  program
    .addCommand(review.reviewCommand())
    .addCommand(review.reportCommand())
    .addCommand(review.exportCommand())
}

try {
  if (!reviews && !flies) {
    const { evaluateCommand } = await import('@kestrel/evaluate/command')
    program.addCommand(evaluateCommand())
  }
  await program.parseAsync()
} catch (error) {
  process.exitCode = reportFailure(error)
}
