import { readFileSync } from 'node:fs'
import { closest, distance } from 'fastest-levenshtein'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { UserError } from './errors.js'

/**
 * Reads a YAML configuration and checks it against its schema, which alone holds defaults, units and help text.
 *
 * @throws UserError that names the file, the key, what was expected and what was found; an unknown key is
 *   refused with the nearest known key named
 */
export function loadConfig<Schema extends z.ZodType>(file: string, schema: Schema): z.infer<Schema> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`Cannot read the configuration ${file}: ${(cause as Error).message}`, { cause })
  }
  const document = parseDocument(text)
  const broken = document.errors[0]
  if (broken !== undefined) throw new UserError(`${file} is not valid YAML: ${broken.message}`)
  return parseConfig(document.toJS() ?? {}, schema, file)
}

/** The same check for a configuration that is already an object; `source` names it in errors. */
export function parseConfig<Schema extends z.ZodType>(
  value: unknown,
  schema: Schema,
  source: string,
): z.infer<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.map(issue => `  ${describe(issue, value, schema)}`)
  throw new UserError(
    `${source} has ${problems.length === 1 ? 'a problem' : 'problems'}:\n${problems.join('\n')}`,
  )
}

function describe(issue: z.core.$ZodIssue, value: unknown, schema: z.ZodType): string {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path)
    return issue.keys
      .map(key => {
        const full = path === '' ? key : `${path}.${key}`
        if (known.length === 0) return `unknown key "${full}"`
        const nearest = closest(key, known)
        const hint =
          distance(key, nearest) <= Math.max(2, key.length / 2)
            ? `did you mean "${nearest}"?`
            : `known here: ${known.join(', ')}`
        return `unknown key "${full}": ${hint}`
      })
      .join('\n  ')
  }
  const found = issue.path.reduce<unknown>(
    (at, key) => (at === null || at === undefined ? undefined : (at as Record<PropertyKey, unknown>)[key]),
    value,
  )
  const what = found === undefined ? 'is missing' : `is ${JSON.stringify(found)}`
  return `${path === '' ? 'the file' : `"${path}"`} ${what}: ${issue.message}`
}

/** The keys of the object schema at `path`, looking through defaults and optionals. */
function knownKeys(schema: z.ZodType, path: PropertyKey[]): string[] {
  let at: z.ZodType | undefined = unwrap(schema)
  for (const key of path) {
    if (!(at instanceof z.ZodObject)) return []
    at = unwrap((at.shape as Record<PropertyKey, z.ZodType>)[key])
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : []
}

function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let at = schema
  while (
    at instanceof z.ZodDefault ||
    at instanceof z.ZodOptional ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable
  ) {
    at = at.unwrap() as z.ZodType
  }
  return at
}
