import { gainClass, percent, points } from '../shared/format.js'
import type { Scores } from './data.js'

/** IoU by class, of the student that learned and of the frozen one. */
export function ClassTable({ scores, caption }: { scores: Scores; caption: string }) {
  const { miou, classes, frames } = scores
  const rows = classes.filter(
    ({ share, adapting, frozen }) => share > 0 || adapting !== null || frozen !== null,
  )
  return (
    <table class="classes">
      <caption>
        {caption}; {frames} frames, against the teacher’s labels
      </caption>
      <thead>
        <tr>
          <th scope="col">Class</th>
          <th scope="col" class="num">
            Share
          </th>
          <th scope="col" class="num">
            Learning
          </th>
          <th scope="col" class="num">
            Frozen
          </th>
          <th scope="col" class="num">
            Gain
          </th>
        </tr>
      </thead>
      <tbody>
        <Row name="all (mIoU)" share={undefined} {...miou} strong />
        {rows.map(({ name, share, adapting, frozen }) => (
          <Row key={name} {...{ name, share, adapting, frozen }} />
        ))}
      </tbody>
    </table>
  )
}

function Row(props: {
  name: string
  share: number | undefined
  adapting: number | null
  frozen: number | null
  strong?: boolean
}) {
  const { name, share, adapting, frozen, strong } = props
  const gain = adapting === null || frozen === null ? undefined : adapting - frozen
  return (
    <tr class={strong ? 'strong' : ''}>
      <th scope="row">{name}</th>
      <td class="num">{share === undefined ? '' : percent(share, 0)}</td>
      <td class="num">{percent(adapting)}</td>
      <td class="num">{percent(frozen)}</td>
      <td class={`num ${gainClass(gain)}`}>{points(gain)}</td>
    </tr>
  )
}
