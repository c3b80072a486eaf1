import Table from 'cli-table3'
import type { Results } from './results.js'

/** The figures of all schemes as a table for the terminal, and the IoU of each class below it. */
export function formatTable(results: Results, options: { colour?: boolean } = {}): string {
  const { colour = false } = options
  const style = colour ? {} : { head: [], border: [] }
  const right = 'right' as const
  const schemes = Object.entries(results.schemes)
  const main = new Table({
    head: [
      'scheme',
      'mIoU\nwindow %',
      'mIoU\n2nd half %',
      'mIoU\nvideo %',
      'up\nkbit/s',
      'down\nkbit/s',
      'updates',
      'sampled\nfps',
    ],
    colAligns: ['left', right, right, right, right, right, right, right],
    style,
  })
  for (const [name, scheme] of schemes) {
    main.push([
      name,
      number(scheme.miouWindow, 1),
      number(scheme.miouSecondHalf, 1),
      number(scheme.miouVideo, 1),
      number(scheme.uplinkKbps, 1),
      number(scheme.downlinkKbps, 1),
      String(scheme.updates),
      number(scheme.meanSamplingFps, 2),
    ])
  }
  const perClass = new Table({
    head: ['IoU %, whole video', ...schemes.map(([name]) => name)],
    colAligns: ['left', ...schemes.map(() => right)],
    style,
  })
  for (const name of results.student.classes) {
    perClass.push([name, ...schemes.map(([, scheme]) => number(scheme.perClassIou[name], 1))])
  }
  return `${main.toString()}\n${perClass.toString()}`
}

function number(value: number | null, digits: number): string {
  return value === null ? '–' : value.toFixed(digits)
}
