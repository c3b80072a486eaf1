import { encodeJpeg } from '@kestrel/link'
import type { LabelMap } from '@kestrel/models'
import { UserError } from '@kestrel/runtime'
import type { Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { packLabels } from '../dashboard/labels.js'
import type { FlightList, LabelSide } from './api.js'
import type { FlightLibrary } from './library.js'
import { writeReport } from './report/report.js'

/** Series of one request, and points of each. */
const MAX_SERIES = 32
const MAX_POINTS = 5000
/** Of JPEGs: the frames were compressed on their way down; more would show only that. */
const QUANTISER = 4
/** What was logged does not change. */
const FOREVER = 'private, max-age=86400, immutable'

const sides: LabelSide[] = ['student', 'teacher', 'frozen']

/** Everything that the page of the review asks for, below `/api/review/`. */
export function mountReview(app: Hono, library: FlightLibrary): void {
  const base = '/api/review/flights'
  app.get(base, async context => {
    const list: FlightList = { root: library.root, flights: await library.list() }
    return context.json(list)
  })
  app.get(`${base}/:id`, async context =>
    library.use(id(context), async recording =>
      context.json({ ...(await recording.view()), id: id(context) }),
    ),
  )
  app.get(`${base}/:id/series`, async context => {
    const names = (context.req.query('names') ?? '').split(',').filter(name => name !== '')
    if (names.length === 0 || names.length > MAX_SERIES)
      throw new UserError(`Name 1 to ${MAX_SERIES} series; found ${names.length}`)
    const points = number(context, 'points') ?? 1000
    const maxPoints = Math.max(10, Math.min(MAX_POINTS, points))
    const query = { names, fromMs: number(context, 'from'), toMs: number(context, 'to'), maxPoints }
    return library.use(id(context), async recording => context.json(await recording.series(query)))
  })
  app.get(`${base}/:id/moment`, async context => {
    const at = number(context, 'at')
    if (at === undefined) throw new UserError('Say a moment: ?at= Unix time in ms')
    return library.use(id(context), async recording => context.json(await recording.moment(at)))
  })
  app.get(`${base}/:id/scores`, async context => {
    const [fromMs, toMs] = [number(context, 'from'), number(context, 'to')]
    const stretch = fromMs === undefined || toMs === undefined ? undefined : { fromMs, toMs }
    return library.use(id(context), async recording =>
      context.json((await recording.scores(stretch)) ?? null),
    )
  })
  app.get(`${base}/:id/updates`, async context =>
    library.use(id(context), async recording => context.json(await recording.updates())),
  )
  app.get(`${base}/:id/updates/:version`, async context =>
    library.use(id(context), async recording =>
      context.json(found(await recording.update(Number(context.req.param('version'))), 'update')),
    ),
  )
  app.get(`${base}/:id/updates/:version/labels/:side`, async context => {
    const side = context.req.param('side') === 'before' ? 'before' : 'after'
    const version = Number(context.req.param('version'))
    return library.use(id(context), async recording =>
      labels(context, found(await recording.updateLabels(version, side), 'update')),
    )
  })
  app.get(`${base}/:id/frame/:ms`, async context =>
    library.use(id(context), async recording => {
      const image = found(await recording.frame(Number(context.req.param('ms'))), 'frame')
      const jpeg = await encodeJpeg(image, { quantiser: QUANTISER })
      context.header('cache-control', FOREVER)
      context.header('content-type', 'image/jpeg')
      return context.body(new Uint8Array(jpeg))
    }),
  )
  app.get(`${base}/:id/labels/:side/:ms`, async context => {
    const side = sides.find(one => one === context.req.param('side'))
    if (side === undefined) throw new UserError(`Labels are of the ${sides.join(', ')}`)
    const ms = Number(context.req.param('ms'))
    return library.use(id(context), async recording =>
      labels(context, found(await recording.labels(side, ms), 'label map')),
    )
  })
  app.get(`${base}/:id/report`, async context =>
    library.use(id(context), async recording => {
      context.header('content-type', 'text/html; charset=utf-8')
      context.header(
        'content-disposition',
        `attachment; filename="${id(context).replace(/[^\w.-]/g, '_')}.html"`,
      )
      return context.body(await writeReport([recording]))
    }),
  )
}

function id(context: Context): string {
  return context.req.param('id') as string
}

function number(context: Context, name: string): number | undefined {
  const text = context.req.query(name)
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (!Number.isFinite(value)) throw new UserError(`${name} is "${text}"; expected a number`)
  return value
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new HTTPException(404, { message: `The log has no such ${what}` })
  return value
}

function labels(context: Context, map: LabelMap) {
  context.header('cache-control', FOREVER)
  context.header('content-type', 'application/octet-stream')
  context.header('content-encoding', 'gzip')
  return context.body(packLabels(map))
}
