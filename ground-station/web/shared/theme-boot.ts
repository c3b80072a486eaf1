import { applyTheme, readTheme } from './theme.js'

// Before anything is drawn, so that a dark page does not flash white.
applyTheme(readTheme())
