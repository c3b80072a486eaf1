import { z } from 'zod'

interface Described {
  description?: string
  default?: unknown
  type?: string
  enum?: unknown[]
  properties?: Record<string, Described>
  required?: string[]
}

/** Every key of a configuration schema, with its default and its help text, as lines for the terminal. */
export function describeConfig(schema: z.ZodType): string {
  return describe(z.toJSONSchema(schema, { io: 'input' }) as Described, '').join('\n')
}

function describe({ properties = {}, required = [] }: Described, indent: string): string[] {
  return Object.entries(properties).flatMap(([key, value]) => {
    const help = value.description ?? ''
    const line = (given: string, more: string) => `${`${indent}${key}:${given}`.padEnd(30)}# ${help}${more}`
    if (value.properties !== undefined) return [line('', ''), ...describe(value, `${indent}  `)]
    const given = value.default === undefined ? '' : ` ${JSON.stringify(value.default)}`
    const choices = value.enum === undefined ? '' : ` (${value.enum.join(', ')})`
    return [line(given, `${choices}${required.includes(key) ? ' (required)' : ''}`)]
  })
}
