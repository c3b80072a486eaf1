/** A configuration as lines of `part.key: value`, for people; empty where the log has none that can be read. */
export function flatten(json: string): Record<string, string> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return {}
  }
  const lines: Record<string, string> = {}
  const walk = (path: string, part: unknown) => {
    if (typeof part === 'object' && part !== null && !Array.isArray(part)) {
      for (const [key, inner] of Object.entries(part)) walk(path === '' ? key : `${path}.${key}`, inner)
    } else if (path !== '') lines[path] = typeof part === 'string' ? part : JSON.stringify(part)
  }
  walk('', value)
  return lines
}
