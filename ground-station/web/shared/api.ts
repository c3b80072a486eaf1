/* The server of this page. Everything that it refuses is an Error with the server's own sentence. */

export async function getJson<T>(url: string, options: { signal?: AbortSignal } = {}): Promise<T> {
  return (await request(url, { signal: options.signal })).json() as Promise<T>
}

export async function postJson<T>(url: string, body: unknown): Promise<T> {
  const answer = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await answer.json()) as T
}

export async function getBytes(url: string, options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
  return new Uint8Array(await (await request(url, { signal: options.signal })).arrayBuffer())
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let answer: Response
  try {
    answer = await fetch(url, init)
  } catch (cause) {
    if (init.signal?.aborted) throw cause
    throw new Error('The ground station does not answer. Does it still run?', { cause })
  }
  if (answer.ok) return answer
  const said = await answer
    .json()
    .then((value: { error?: string }) => value.error)
    .catch(() => undefined)
  throw new Error(said ?? `The ground station refuses this (${answer.status})`)
}
