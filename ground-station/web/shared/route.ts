import { useEffect, useState } from 'preact/hooks'

/** Where in a page one is: it stands after the `#`, so that it can be shared and the server need not know it. */
export interface Place {
  /** Decoded parts of `#/flights/abc`: `['flights', 'abc']`. */
  path: string[]
  /** What stands after a `?` in it. */
  params: URLSearchParams
}

export function parsePlace(hash: string): Place {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part)
    } catch {
      return part
    }
  }
  return {
    path: path
      .split('/')
      .filter(part => part !== '')
      .map(decode),
    params: new URLSearchParams(query),
  }
}

/** The hash of a place; parameters that are undefined are left out. */
export function placeHash(
  path: string[],
  params: Record<string, string | number | undefined> | URLSearchParams = {},
): string {
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params)
  const query = new URLSearchParams(
    entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  ).toString()
  return `#/${path.map(encodeURIComponent).join('/')}${query === '' ? '' : `?${query}`}`
}

/** Goes there. @param options.replace without a new entry in the history: for what changes often, as a time does */
export function goTo(hash: string, options: { replace?: boolean } = {}): void {
  if (location.hash === hash) return
  if (!options.replace) location.hash = hash
  else {
    history.replaceState(null, '', hash)
    dispatchEvent(new Event('hashchange'))
  }
}

/** The present place; the component is drawn anew when it changes. */
export function usePlace(): Place {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const onChange = () => setHash(location.hash)
    addEventListener('hashchange', onChange)
    return () => removeEventListener('hashchange', onChange)
  }, [])
  return parsePlace(hash)
}
