import { render } from 'preact'
import '../shared/style.css'
import './review.css'
import { usePlace } from '../shared/route.js'
import { Shell } from '../shared/shell.js'
import { ComparePage } from './compare-page.js'
import { FlightPage } from './flight-page.js'
import { ListPage } from './list-page.js'

/** `#/` is the list, `#/flight/ID` a flight, `#/compare/ID/ID` two of them. */
function Review() {
  const { path, params } = usePlace()
  const [page, first, second] = path
  if (page === 'flight' && first !== undefined) return <FlightPage key={first} id={first} params={params} />
  if (page === 'compare' && second !== undefined)
    return <ComparePage key={`${first}/${second}`} ids={[first, second]} params={params} />
  return <ListPage />
}

render(
  <Shell page="review">
    <Review />
  </Shell>,
  document.getElementById('app')!,
)
