import { useEffect, useRef } from 'preact/hooks'

/** Elements that have a use of their own for a key. */
const takesText = 'input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]'
const takesSpace = 'button, a, summary, input'

/** What keys do on a page, by name (`Shift+` before it); a key that the focused element needs is left to it. */
export function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys)
  latest.current = keys
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return
      const target = event.target as HTMLElement
      if (target.matches(takesText) || target.closest('.map') !== null) return
      if (event.key === ' ' && target.matches(takesSpace)) return
      const printed = event.key.length === 1 && /[^a-z]/i.test(event.key)
      const run = latest.current[event.shiftKey && !printed ? `Shift+${event.key}` : event.key]
      // A range moves by itself, by a pixel: here it moves by a frame.
      if (run === undefined || (target.matches('.wipe ~ input') && event.key.startsWith('Arrow'))) return
      event.preventDefault()
      run()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}
