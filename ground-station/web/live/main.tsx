import { render } from 'preact'
import '../shared/style.css'
import { Shell } from '../shared/shell.js'

render(<Shell page="live">Live</Shell>, document.getElementById('app')!)
