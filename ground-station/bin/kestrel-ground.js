#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { Command } from 'commander'

if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  console.error('kestrel-ground: not built yet; run "npm run build" first')
  process.exit(2)
}
const {
  configCommand,
  dashboardCommand,
  judgeCommand,
  pairCommand,
  pretrainCommand,
  reportFailure,
  startCommand,
} = await import('@kestrel/ground-station')

const program = new Command('kestrel-ground')
  .description('Kestrel on the ground: keeps teaching the students of drones in flight')
  .version('0.1.0')
  .addCommand(startCommand())
  .addCommand(configCommand())
  .addCommand(pairCommand())
  .addCommand(dashboardCommand())
  .addCommand(pretrainCommand())
  .addCommand(judgeCommand())

const reviewing = ['review', 'report', 'export']
try {
  // Looking at flights needs neither a broker nor a teacher.
  if (
    process.argv[2] === undefined ||
    reviewing.includes(process.argv[2]) ||
    /^(-h|--help|help)$/.test(process.argv[2])
  ) {
    const review = await import('@kestrel/ground-station/review')
    program
      .addCommand(review.reviewCommand())
      .addCommand(review.reportCommand())
      .addCommand(review.exportCommand())
  }
  // The evaluation brings charts and optical flow along; the others do without.
  const light = ['start', 'config', 'dashboard', 'pair', 'pretrain', 'judge', ...reviewing]
  if (!light.includes(process.argv[2])) {
    const { evaluateCommand } = await import('@kestrel/evaluate')
    program.addCommand(evaluateCommand())
  }
  await program.parseAsync()
} catch (error) {
  process.exitCode = reportFailure(error)
}
