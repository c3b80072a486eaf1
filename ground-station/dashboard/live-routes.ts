import type { CommandResult } from '@kestrel/link'
import type { Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { z } from 'zod'
import type { Order } from '../service/commander.js'
import { packLabels } from './labels.js'
import type { LiveState } from './live-state.js'
import type { CommandOutcome } from './wire.js'

const orderSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('learning'), on: z.boolean() }),
  z
    .strictObject({ kind: z.literal('sampling'), minFps: z.number(), maxFps: z.number() })
    .refine(({ minFps, maxFps }) => minFps > 0 && minFps <= maxFps && maxFps <= 30, {
      error: 'expected 0 < least ≤ most ≤ 30 frames/s',
    }),
  z.strictObject({ kind: z.literal('roll-back'), fromVersion: z.number().int().min(1) }),
  z.strictObject({ kind: z.literal('save-checkpoint') }),
])

/** Pictures of the live page, and orders for the drones. */
export function liveRoutes(options: {
  state: LiveState
  command: (drone: string, order: Order) => Promise<CommandResult>
}): (app: Hono) => void {
  const { state, command } = options
  const viewOf = (context: Context) => {
    const id = Number(context.req.param('id'))
    const found = state.drones.get(context.req.param('drone') ?? '')?.views.find(view => view.id === id)
    if (found === undefined)
      throw new HTTPException(404, { message: 'This view is gone: there is a newer one' })
    // Numbers begin anew with the ground station, so that a view must not be kept beyond it.
    context.header('cache-control', 'no-store')
    return found.view
  }
  return app => {
    app.get('/api/live/:drone/views/:id/picture.jpg', context => {
      const { jpeg } = viewOf(context).picture
      return context.body(new Uint8Array(jpeg), 200, { 'content-type': 'image/jpeg' })
    })
    app.get('/api/live/:drone/views/:id/labels/:which', context => {
      const { labels } = viewOf(context)
      const which = context.req.param('which')
      if (!Object.hasOwn(labels, which))
        throw new HTTPException(404, { message: `There are no labels ${which}` })
      return context.body(packLabels(labels[which as keyof typeof labels]), 200, {
        'content-type': 'application/octet-stream',
        'content-encoding': 'gzip',
      })
    })
    app.post('/api/live/:drone/command', async context => {
      // A form of another site cannot send this type without asking first.
      if (!context.req.header('content-type')?.startsWith('application/json'))
        throw new HTTPException(415, { message: 'Orders are JSON' })
      const body: unknown = await context.req.json().catch(() => undefined)
      const order = orderSchema.safeParse(body)
      if (!order.success) throw new HTTPException(400, { message: z.prettifyError(order.error) })
      const { done, detail } = await command(context.req.param('drone'), order.data)
      return context.json({ done, detail } satisfies CommandOutcome)
    })
  }
}
