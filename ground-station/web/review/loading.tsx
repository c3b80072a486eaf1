import { useEffect, useState } from 'preact/hooks'

export type Loaded<T> = { value?: T; error?: string }

/** Loads something once for each key. */
export function useLoaded<T>(load: () => Promise<T>, key: string): Loaded<T> {
  const [state, setState] = useState<Loaded<T>>({})
  useEffect(() => {
    let gone = false
    setState({})
    load().then(
      value => !gone && setState({ value }),
      error => !gone && setState({ error: String(error.message ?? error) }),
    )
    return () => {
      gone = true
    }
  }, [key])
  return state
}

export function Waiting(props: { error?: string; what: string }) {
  return props.error === undefined ? (
    <p class="empty" role="status">
      Loading {props.what}…
    </p>
  ) : (
    <p class="empty bad" role="alert">
      {props.error}
    </p>
  )
}
