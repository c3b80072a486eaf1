#!/usr/bin/env node
import { existsSync } from 'node:fs'

const entry = new URL('../dist/service/cli.js', import.meta.url)
if (!existsSync(entry)) {
  console.error('kestrel-agent: not built yet; run "npm run build" first')
  process.exit(2)
}
const { agentMain } = await import(entry.href)
process.exit(await agentMain(process.argv.slice(2)))
