#!/usr/bin/env node
import { existsSync } from 'node:fs'

const entry = new URL('../dist/cli/main.js', import.meta.url)
if (!existsSync(entry)) {
  console.error('kestrel-sim: not built yet; run "npm run build" first')
  process.exit(2)
}
const { simMain } = await import(entry.href)
process.exit(await simMain(process.argv))
