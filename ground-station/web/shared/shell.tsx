import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { nextTheme, readTheme, setTheme } from './theme.js'

const pages = [
  { page: 'live', href: '/', text: 'Live' },
  { page: 'review', href: '/review', text: 'Flights' },
] as const

/** `kestrel-ground review` has no drones to show. */
const offered = () => pages.filter(({ page }) => page === 'review' || !('alone' in document.body.dataset))

const themeNames = { auto: 'as the system', light: 'light', dark: 'dark' }
const themeSigns = { auto: '◐', light: '☀', dark: '☾' }

/** The frame of every page: name, navigation, theme. `aside` stands at the right of the bar. */
export function Shell(props: {
  page: 'live' | 'review'
  aside?: ComponentChildren
  children: ComponentChildren
}) {
  const [theme, choose] = useState(readTheme)
  const change = () => {
    const next = nextTheme(theme)
    setTheme(next)
    choose(next)
  }
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="bar">
        <a class="brand" href="/">
          <svg viewBox="0 0 16 16" width="22" height="22" aria-hidden="true">
            <path d="M1 5l6 2 1-4 1 4 6-2-5 5-2 4-2-4z" fill="currentColor" />
          </svg>
          Kestrel
        </a>
        <nav aria-label="Pages">
          {offered().map(({ page, href, text }) => (
            <a key={page} href={href} aria-current={page === props.page ? 'page' : undefined}>
              {text}
            </a>
          ))}
        </nav>
        <div class="bar-aside">{props.aside}</div>
        <button
          type="button"
          class="plain theme"
          onClick={change}
          aria-label={`Theme: ${themeNames[theme]}. Change`}
          title={`Theme: ${themeNames[theme]}`}
        >
          <span aria-hidden="true">{themeSigns[theme]}</span>
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        {props.children}
      </main>
    </>
  )
}
