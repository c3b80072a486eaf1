// Bundles the pages into ../dist/web, where the dashboard's server finds them. Part of `npm run build`.
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const here = import.meta.dirname
const out = join(here, '../dist/web')

/** Each page: `<page>/main.tsx` and `<page>/index.html`. */
const pages = ['live', 'review']

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
await build({
  entryPoints: [
    ...pages.map(page => ({ in: join(here, page, 'main.tsx'), out: page })),
    { in: join(here, 'shared/theme-boot.ts'), out: 'theme-boot' },
  ],
  outdir: out,
  bundle: true,
  splitting: true,
  format: 'esm',
  target: ['es2022', 'safari16'],
  minify: true,
  // The content security policy allows pictures from data: URLs, so that no page needs a file beside it.
  loader: { '.png': 'dataurl', '.svg': 'dataurl' },
  jsx: 'automatic',
  jsxImportSource: 'preact',
  logLevel: 'warning',
})
for (const page of pages) await copyFile(join(here, page, 'index.html'), join(out, `${page}.html`))
