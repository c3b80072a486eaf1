import { encodeJpeg, Scaler } from '@kestrel/link'
import type { RgbImage } from '@kestrel/models'
import type { FlightView } from '../api.js'
import { withLabels } from '../overlay.js'
import type { Recording } from '../recording.js'
import { html, type Markup } from './markup.js'
import { points, share, since } from './words.js'

/** Of the pictures of a report: wide enough to see, small enough to mail. */
const WIDTH = 320

/** The moments at which learning helped most and least, each as the camera saw it, and as student and teacher labelled it. */
export async function moments(recording: Recording, view: FlightView): Promise<Markup | undefined> {
  const { best, worst } = await recording.highlights(2)
  if (view.frames === 0 || best.length === 0) return undefined
  const shown: Markup[] = []
  for (const [title, list] of [
    ['Best', best],
    ['Worst', worst],
  ] as const) {
    for (const { timeMs, adapting, frozen, version } of list) {
      const { frameMs, labels } = await recording.moment(timeMs)
      const frame = frameMs === undefined ? undefined : await recording.frame(frameMs)
      if (frame === undefined) continue
      const sides = ['student', 'teacher'] as const
      const pictures: { name: string; source: string }[] = [{ name: 'camera', source: await dataUrl(frame) }]
      for (const side of sides) {
        const at = labels[side]
        const map = at === undefined ? undefined : await recording.labels(side, at)
        if (map !== undefined)
          pictures.push({ name: side, source: await dataUrl(withLabels(frame, map, view.palette)) })
      }
      shown.push(html`<figure class="moment"><figcaption><b>${title}</b>, ${since(view, timeMs)}: mIoU ${share(adapting)} with learning,
${share(frozen)} without (<b class="${adapting >= frozen ? 'good' : 'bad'}">${points(adapting - frozen)}</b>), version ${version}</figcaption>
<div class="row">${pictures.map(
        ({ name, source }) => html`<div><img src="${source}" alt="${name}"><small>${name}</small></div>`,
      )}</div></figure>`)
    }
  }
  return shown.length === 0
    ? undefined
    : html`<h2>Best and worst moments</h2>${legend(view)}<div class="moments">${shown}</div>`
}

function legend({ classes, palette }: FlightView): Markup {
  return html`<p class="legend">${classes.map(
    (name, i) =>
      html`<span><svg width="11" height="11"><rect width="11" height="11" rx="2" fill="rgb(${(palette[i] ?? [128, 128, 128]).join(',')})"/></svg> ${name}</span>`,
  )}</p>`
}

async function dataUrl(image: RgbImage): Promise<string> {
  const scaler = new Scaler()
  try {
    const height = Math.max(2, Math.round((image.height * WIDTH) / image.width / 2) * 2)
    const small = image.width > WIDTH ? scaler.scale(image, WIDTH, height) : image
    return `data:image/jpeg;base64,${Buffer.from(await encodeJpeg(small)).toString('base64')}`
  } finally {
    scaler.dispose()
  }
}
