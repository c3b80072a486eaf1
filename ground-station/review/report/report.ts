import type { FlightView, Scores, SeriesData, UpdateEntry } from '../api.js'
import type { Recording } from '../recording.js'
import { map } from './map.js'
import { html, type Markup } from './markup.js'
import { moments } from './moments.js'
import { plot } from './plot.js'
import { style } from './style.js'
import { date, duration, points, share, since, size } from './words.js'

const POINTS = 400
const MOST_EVENTS = 300
const MOST_UPDATES = 500

/** A page about flights that is one file: it can be mailed, printed and opened anywhere. */
export async function writeReport(recordings: Recording[]): Promise<string> {
  const articles: Markup[] = []
  const titles: string[] = []
  for (const recording of recordings) {
    const view = await recording.view()
    titles.push(view.id)
    articles.push(await article(recording, view))
  }
  // Nothing is loaded from anywhere: the policy of the page says so to the browser, too.
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
  return `<!doctype html>\n${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}"><title>${titles.join(', ')} – Kestrel</title>
<style>`}${style}${html`</style></head><body>${articles}</body></html>`}\n`
}

async function article(recording: Recording, view: FlightView): Promise<Markup> {
  const scores = await recording.scores()
  const updates = await recording.updates()
  const where = map(view.track, view.eventList)
  const classes = scores && classTable(scores)
  return html`<article><h1>${view.drone}</h1><p class="muted">${view.id}</p>
${summary(view)}${view.notes.map(note => html`<p class="warn">${note}</p>`)}
<div class="two"><div>${where}</div><div>${classes}${updates.length > 0 && updateTable(view, updates)}</div></div>
<h2>Curves</h2>${await curves(recording, view)}
${await moments(recording, view)}${events(view)}${about(view)}</article>`
}

function summary(view: FlightView): Markup {
  const { miou } = view
  const facts: [string, string | Markup][] = [
    ['Flown', view.dated ? date(view.beginMs) : 'time not known'],
    ['Duration', duration(view.endMs - view.beginMs)],
  ]
  if (miou !== undefined) {
    const gain = miou.adapting - miou.frozen
    facts.push(['mIoU with learning', share(miou.adapting)], ['without', share(miou.frozen)])
    facts.push(['Gain', html`<span class="${gain > 0 ? 'good' : 'bad'}">${points(gain)} points</span>`])
  }
  if (view.kind === 'kestrel') {
    facts.push(['Updates', `${view.updates} applied${view.refused > 0 ? `, ${view.refused} refused` : ''}`])
    facts.push(['Frames', `${view.frames}`])
  }
  facts.push(['Events', `${view.events}`])
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

async function curves(recording: Recording, view: FlightView): Promise<Markup> {
  const infos = view.series.filter(one => one.standard === true)
  const data = new Map<string, SeriesData>()
  for (const series of await recording.series({ names: infos.map(({ name }) => name), maxPoints: POINTS })) {
    if (series.values.length > 0) data.set(series.name, series)
  }
  const groups = [...new Set(infos.map(({ group }) => group))]
  const markersMs = view.eventList.filter(({ type }) => type === 'update-applied').map(({ timeMs }) => timeMs)
  return html`<div class="plots">${groups.map(group => {
    const members = infos.filter(one => one.group === group && data.has(one.name))
    if (members.length === 0) return undefined
    return plot({
      title: group,
      unit: members[0].unit,
      lines: members.map(({ name, label }) => ({ label, data: data.get(name)! })),
      beginMs: view.beginMs,
      endMs: view.endMs,
      markersMs,
    })
  })}</div>`
}

function classTable({ classes, miou, frames }: Scores): Markup {
  const row = (name: string, part: string, a: number | null, b: number | null) =>
    html`<tr><th>${name}</th><td class="num">${part}</td><td class="num">${share(a)}</td><td class="num">${share(b)}</td>
<td class="num ${a !== null && b !== null && a < b ? 'bad' : 'good'}">${a === null || b === null ? '–' : points(a - b)}</td></tr>`
  return html`<table><caption>IoU by class over ${frames} frames, against the teacher’s labels</caption>
<tr><th>class</th><th class="num">share</th><th class="num">learning</th><th class="num">frozen</th><th class="num">gain</th></tr>
${row('all (mIoU)', '', miou.adapting, miou.frozen)}
${classes.filter(one => one.share > 0 || one.adapting !== null).map(one => row(one.name, `${(100 * one.share).toFixed(0)} %`, one.adapting, one.frozen))}</table>`
}

function updateTable(view: FlightView, updates: UpdateEntry[]): Markup {
  const bytes = updates.reduce((sum, one) => sum + one.bytes, 0)
  const refused = updates.filter(one => !one.applied)
  return html`<p>${updates.length - refused.length} updates were applied, ${size(bytes)} in all${
    refused.length > 0 ? `; ${refused.length} refused:` : '.'
  }</p>${
    refused.length > 0 &&
    html`<table><tr><th>after</th><th>version</th><th>why it was refused</th></tr>${refused
      .slice(0, MOST_UPDATES)
      .map(
        one =>
          html`<tr><td>${since(view, one.timeMs)}</td><td>${one.version}</td><td>${one.reason}</td></tr>`,
      )}</table>`
  }`
}

function events(view: FlightView): Markup | undefined {
  const { eventList, eventsLeftOut } = view
  if (eventList.length === 0) return undefined
  const shown = eventList.slice(0, MOST_EVENTS)
  const more = eventList.length - shown.length + eventsLeftOut
  return html`<h2>Events</h2><table>${shown.map(
    ({ timeMs, severity, text }) =>
      html`<tr><td>${since(view, timeMs)}</td><td class="${severity === 'error' ? 'bad' : severity === 'warning' ? 'warn' : ''}">${text}</td></tr>`,
  )}</table>${more > 0 && html`<p class="muted">${more} more.</p>`}`
}

function about(view: FlightView): Markup {
  const rows: [string, string][] = [
    ['Log', `${view.id}, ${size(view.bytes)}`],
    ['Software', view.software],
    ['Student', view.student],
    ['Classes', view.classes.join(', ')],
    ...Object.entries(view.configuration),
  ]
  return html`<h2>Configuration and versions</h2><table>${rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => html`<tr><th>${name}</th><td class="wide">${value}</td></tr>`)}</table>`
}
