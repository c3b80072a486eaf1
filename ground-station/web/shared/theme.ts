export type Theme = 'light' | 'dark' | 'auto'

const KEY = 'kestrel-theme'
const themes: readonly Theme[] = ['auto', 'light', 'dark']

/** What was chosen on this device; `auto` follows the system. */
export function readTheme(): Theme {
  try {
    const stored = localStorage.getItem(KEY) as Theme
    return themes.includes(stored) ? stored : 'auto'
  } catch {
    return 'auto'
  }
}

/** Shows a theme and keeps it for the next visit, where the browser lets us. */
export function setTheme(theme: Theme): void {
  applyTheme(theme)
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // A private window: it holds until the page is left.
  }
  dispatchEvent(new Event('kestrel-theme'))
}

export function applyTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function nextTheme(theme: Theme): Theme {
  return themes[(themes.indexOf(theme) + 1) % themes.length]
}

/** Calls back whenever the colours of the page change. @returns ends it */
export function onThemeChange(listener: () => void): () => void {
  const media = matchMedia('(prefers-color-scheme: dark)')
  addEventListener('kestrel-theme', listener)
  media.addEventListener('change', listener)
  return () => {
    removeEventListener('kestrel-theme', listener)
    media.removeEventListener('change', listener)
  }
}

/** The present value of a colour of style.css, such as `--text`: for what is drawn on a canvas. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
