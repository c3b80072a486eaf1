import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Context, Hono } from 'hono'

/** Where `npm run build` puts the pages. */
const FOLDER = join(import.meta.dirname, '../web')

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
}

interface Page {
  type: string
  etag: string
  bytes: Uint8Array<ArrayBuffer>
  zipped: Uint8Array<ArrayBuffer>
}

/**
 * Serves the pages: `/` and `/review` are HTML, what they need lies under `/assets`. All of it is read once, a few hundred kB, so that no
 * path of a request ever reaches the disk.
 *
 * @param options.home the page that `/` shows
 */
export function mountPages(app: Hono, options: { home: 'live' | 'review'; folder?: string }): void {
  const { home, folder = FOLDER } = options
  const files = readPages(folder, home === 'review')
  const serve = (context: Context, name: string) => {
    const page = files.get(name)
    if (page === undefined) {
      const what = files.size === 0 ? 'The pages are not built: run `npm run build`' : 'There is no such page'
      return context.text(`${what}\n`, files.size === 0 ? 503 : 404)
    }
    context.header('etag', page.etag)
    // Asked for again each time, so that an update of the software shows at once.
    context.header('cache-control', 'no-cache')
    if (context.req.header('if-none-match') === page.etag) return context.body(null, 304)
    context.header('content-type', page.type)
    context.header('vary', 'accept-encoding')
    if (!context.req.header('accept-encoding')?.includes('gzip')) return context.body(page.bytes)
    context.header('content-encoding', 'gzip')
    return context.body(page.zipped)
  }
  app.get('/', context => serve(context, `${home}.html`))
  app.get('/review', context => serve(context, 'review.html'))
  app.get('/assets/:name', context => serve(context, context.req.param('name')))
}

/** @param alone the review is all there is, and its page does not lead elsewhere */
function readPages(folder: string, alone: boolean): Map<string, Page> {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return new Map()
  }
  return new Map(
    names
      .filter(name => types[extname(name)] !== undefined)
      .map(name => {
        let bytes = new Uint8Array(readFileSync(join(folder, name)))
        if (alone && name === 'review.html') {
          bytes = new TextEncoder().encode(
            new TextDecoder().decode(bytes).replace('<body>', '<body data-alone>'),
          )
        }
        const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
        return [name, { type: types[extname(name)], etag, bytes, zipped: new Uint8Array(gzipSync(bytes)) }]
      }),
  )
}
