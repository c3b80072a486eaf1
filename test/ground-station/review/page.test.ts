/// <reference lib="dom" />
// The browser’s side of the tests: what is evaluated in a page.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { DashboardServer } from '@kestrel/ground-station'
import { FlightLibrary, mountReview, writeReport } from '@kestrel/ground-station/review'
import { silentLog } from '@kestrel/runtime'
import { aerialPalette } from '@kestrel/simulator'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { noBrowser, openBrowser } from '../../support/chromium.js'
import { FLOWN_MS, writeFlown } from '../../support/flown.js'
import { UlogBuilder } from './ulogs.js'

const skip = noBrowser() ?? false
const shots = join(import.meta.dirname, '../../../../out/screenshots')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

t.setTimeout(550_000)

const first = 'kite-20261128-140000-a1b2'
const second = 'kite-20261128-150000-c3d4'

t.test('The review in a browser', { skip }, async t => {
  const dir = t.testdir()
  const flown = await writeFlown({ dir, id: first, seconds: 24, scenario: 'valley-to-town' })
  await writeFlown({ dir, id: second, seconds: 12, seed: 2, startMs: FLOWN_MS + 3_600_000 })
  writeFileSync(join(dir, 'px4.ulg'), circle().bytes())
  const library = new FlightLibrary(dir)
  const server = new DashboardServer({
    ...{ host: '127.0.0.1', port: 0, home: 'review' as const, log: silentLog },
    routes: [app => mountReview(app, library)],
  })
  await server.start()
  const browser = await openBrowser()
  t.teardown(async () => {
    await browser.close()
    await server.stop()
    await library.close()
  })
  const at = (hash: string) => `${server.url}/review${hash}`

  await t.test('The list shows every flight; a click opens one, two marks compare', async t => {
    const page = await open(t, browser, at(''))
    await page.waitForSelector('table.flights tbody tr')
    t.equal(await page.locator('table.flights tbody tr').count(), 3)
    t.equal(await page.getByRole('link', { name: 'Live' }).count(), 0, 'no drones, no page for them')
    const row = page.locator('tr', { hasText: first })
    t.match(await row.innerText(), /2[34]\ss[\s\S]*%[\s\S]*\+\d+[\s\S]*3[\s\S]*1 refused/)
    await audit(t, page)
    await shoot(page, 'review-list')
    for (const id of [first, second]) await page.getByLabel(`Mark ${id} to compare`).check()
    await page.getByRole('button', { name: 'Compare the two' }).click()
    await page.waitForSelector('.facts-table')
    await page.waitForSelector('.pane[data-frame]:not([data-frame=""])')
    t.equal(await page.locator('.classes').count(), 2)
    t.ok((await page.locator('.plot').count()) > 5)
    await audit(t, page)
    await shoot(page, 'review-compare')
    await page.goto(at(''))
    await page.getByRole('link', { name: 'kite' }).last().click()
    await page.waitForSelector('.stage')
    t.match(page.url(), /#\/flight\/kite-20261128-140000/)
    t.same(strays.get(page), [], 'nothing but this server was asked')
  })

  await t.test('Labels are drawn over the frame; moving through time changes frame and labels', async t => {
    const page = await open(t, browser, at(`#/flight/${first}?t=5`))
    await ready(page)
    const [shown, frame] = [await pixels(page, 0), await frameOf(page)]
    t.ok(Math.abs(frame - flown.frames[5].captureMs) < 1, 'the frame of that moment')
    const strength = page.getByLabel('How strong labels cover the picture')
    await strength.fill('0')
    await page.waitForTimeout(300)
    const bare = await pixels(page, 0)
    t.ok(far(bare, flown.frames[5].image.data) < 14, 'without labels it is the frame')
    t.ok(far(shown, bare) > 10, 'labels cover it')
    await strength.fill('1')
    await page.waitForTimeout(300)
    const full = await pixels(page, 1)
    const teacher = colours(flown.frames[5].truth.data)
    t.ok(far(full, teacher) < 3, 'in full the teacher’s labels in their colours')
    await page.getByLabel('Moment of the flight').fill(String(flown.frames[15].captureMs + 100))
    await page.waitForFunction(
      before => document.querySelector('.pane')?.getAttribute('data-frame') !== before,
      String(frame),
    )
    await page.waitForTimeout(300)
    t.ok(Math.abs((await frameOf(page)) - flown.frames[15].captureMs) < 1)
    t.ok(far(await pixels(page, 1), colours(flown.frames[15].truth.data)) < 3)
    await page.getByLabel('What the right picture shows').selectOption('difference')
    await page.waitForSelector('.pane[data-layer="difference"]')
    t.match(await page.locator('.pane').last().innerText(), /% of the pixels agree/)
    t.same(strays.get(page), [])
  })

  await t.test('A link shows the same again: moment, layers, stretch, update', async t => {
    const page = await open(t, browser, at(`#/flight/${first}?t=5`))
    await ready(page)
    await page.getByLabel('What the left picture shows').selectOption('frozen')
    await page.getByLabel('Moment of the flight').fill(String(flown.frames[12].captureMs + 10))
    await page.locator('body').press('+')
    await page.getByRole('combobox', { name: 'Update' }).selectOption('2')
    await page.waitForFunction(() => location.hash.includes('update=2'))
    await page.waitForTimeout(400)
    const other = await open(t, browser, page.url())
    await ready(other)
    t.equal(await frameOf(other), await frameOf(page))
    t.equal(await other.getByLabel('What the left picture shows').inputValue(), 'frozen')
    t.equal(await other.getByRole('combobox', { name: 'Update' }).inputValue(), '2')
    const window = (of: Page) => of.locator('.marks .window').getAttribute('width')
    t.equal(await window(other), await window(page))
    t.not(await window(page), '100%')
    t.same([strays.get(page), strays.get(other)], [[], []])
  })

  await t.test('Before and after an update: a divider that moves', async t => {
    const page = await open(t, browser, at(`#/flight/${first}?t=8&update=2`))
    await page.waitForSelector('.wipe canvas', { timeout: 120_000 })
    t.match(
      await page.locator('.wipe ~ p').innerText(),
      /mIoU of this frame .* anew, from the weights in the log/s,
    )
    const clip = () => page.locator('.wipe-over').evaluate(element => getComputedStyle(element).clipPath)
    t.match(await clip(), /50%/)
    await page.getByLabel('Where before ends and after begins').fill('20')
    await page.waitForTimeout(100)
    t.match(await clip(), /20%/)
    await page.locator('.wipe').scrollIntoViewIfNeeded()
    await shoot(page, 'review-update')
    t.same(strays.get(page), [])
  })

  await t.test('By keyboard: frames, updates, events, ends, stretch, playing', async t => {
    const page = await open(t, browser, at(`#/flight/${first}?t=5`))
    await ready(page)
    const press = async (key: string) => {
      await page.locator('body').press(key)
      await page.waitForTimeout(500)
    }
    const seconds = () => Number(new URLSearchParams(page.url().split('?')[1]).get('t'))
    const start = await frameOf(page)
    await press('ArrowRight')
    t.ok(Math.abs((await frameOf(page)) - start - 1000) < 2)
    await press('ArrowLeft')
    t.equal(await frameOf(page), start)
    const before = seconds()
    await press('Shift+ArrowRight')
    t.ok(Math.abs(seconds() - before - 10) < 0.1)
    await press('Home')
    t.equal(seconds(), 0)
    await press('u')
    t.match(page.url(), /update=1/)
    await press('e')
    t.ok(seconds() > 4)
    await press('End')
    t.ok(seconds() > 22)
    await press('Home')
    await press(' ')
    await page.waitForTimeout(800)
    await press(' ')
    t.ok(seconds() > 1, 'it played')
    const stopped = seconds()
    await page.waitForTimeout(500)
    t.equal(seconds(), stopped, 'and stopped')
    t.same(strays.get(page), [])
  })

  await t.test('A log of PX4: track, attitude, modes, any curve', async t => {
    const page = await open(t, browser, at('#/flight/px4.ulg'))
    await page.waitForSelector('.plot canvas')
    t.match(await page.locator('.horizon').innerText(), /heading \d+/)
    t.match(await page.locator('.events').innerText(), /Armed/)
    await page.getByPlaceholder(/one of/).fill('q[3]')
    await page.getByRole('button', { name: 'vehicle_attitude.q[3]' }).click()
    await page.waitForFunction(() =>
      [...document.querySelectorAll('.plot-title')].some(one =>
        one.textContent?.includes('vehicle_attitude'),
      ),
    )
    t.match(page.url(), /curves=vehicle_attitude/)
    await shoot(page, 'review-px4')
    t.same(strays.get(page), [])
  })

  for (const [name, options] of Object.entries({
    light: {},
    dark: { dark: true },
    tablet: { width: 820, height: 1180 },
    phone: { width: 390, height: 844 },
  })) {
    await t.test(`Readable and reachable: ${name}`, async t => {
      const page = await open(t, browser, at(`#/flight/${first}?t=14&update=3`), options)
      await ready(page)
      await page.waitForSelector('.wipe canvas', { timeout: 120_000 })
      await audit(t, page)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      t.ok(wide <= 0, `nothing stands out at the side (${wide})`)
      await shoot(page, `review-flight-${name}`)
      t.same(strays.get(page), [])
    })
  }

  await t.test('A flight that is not there, a folder without flights', async t => {
    const page = await open(t, browser, at('#/flight/nobody'))
    await page.waitForSelector('[role=alert]')
    t.match(await page.locator('[role=alert]').innerText(), /no flight nobody/)
  })

  await t.test('The report opens from a file, and asks nobody for anything', async t => {
    const file = join(t.testdir(), 'report.html')
    const html = await library.use(first, recording => writeReport([recording]))
    writeFileSync(file, html)
    const page = await open(t, browser, `file://${file}`)
    t.ok(
      await page.evaluate(() =>
        [...document.images].every(image => image.complete && image.naturalWidth > 0),
      ),
    )
    await audit(t, page)
    await shoot(page, 'review-report')
    t.same(strays.get(page), [])
  })
})

/** Half a minute of a PX4 flight in a circle. */
function circle(): UlogBuilder {
  const log = new UlogBuilder()
    .format('vehicle_attitude', 'uint64_t timestamp;float[4] q;')
    .format('vehicle_global_position', 'uint64_t timestamp;double lat;double lon;float alt;')
    .format('vehicle_status', 'uint64_t timestamp;uint8_t nav_state;uint8_t arming_state;')
    .parameter('MPC_XY_VEL_MAX', 12.5)
  for (const [i, name] of ['vehicle_attitude', 'vehicle_global_position', 'vehicle_status'].entries())
    log.subscribe(i, name)
  for (let i = 0; i < 300; i++) {
    const head = Buffer.alloc(8)
    head.writeBigUInt64LE(BigInt(1_000_000 + 100_000 * i))
    const q = Buffer.alloc(16)
    q.writeFloatLE(Math.cos(i / 100), 0)
    q.writeFloatLE(Math.sin(i / 100), 12)
    log.data(0, Buffer.concat([head, q]))
    const place = Buffer.alloc(20)
    place.writeDoubleLE(47 + Math.sin(i / 50) / 1000, 0)
    place.writeDoubleLE(8 + Math.cos(i / 50) / 1000, 8)
    place.writeFloatLE(500 + i / 10, 16)
    log.data(1, Buffer.concat([head, place]))
    log.data(2, Buffer.concat([head, Buffer.from([i < 150 ? 2 : 3, i < 20 ? 1 : 2])]))
  }
  return log
}

/** What a page should not do: requests to anywhere but where it came from, and errors. */
const strays = new Map<Page, string[]>()

async function open(
  t: Test,
  browser: Browser,
  url: string,
  options: { dark?: boolean; width?: number; height?: number } = {},
): Promise<Page> {
  const { dark = false, width = 1440, height = 1000 } = options
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
  })
  const page = await context.newPage()
  strays.set(page, [])
  page.on('request', request => {
    const asked = request.url()
    if (!asked.startsWith(new URL(url).origin) && !/^(data|blob|file):/.test(asked))
      strays.get(page)!.push(asked)
  })
  page.on('pageerror', error => strays.get(page)!.push(error.message))
  page.on('console', message => {
    if (message.type() === 'error') strays.get(page)!.push(message.text())
  })
  t.teardown(() => context.close())
  page.setDefaultTimeout(90_000)
  await page.goto(url)
  return page
}

/** Frame, labels and curves are there. */
async function ready(page: Page): Promise<void> {
  await page.waitForSelector('.pane[data-frame]:not([data-frame=""])')
  await page.waitForSelector('.plot canvas')
  await page.waitForTimeout(500)
}

async function frameOf(page: Page): Promise<number> {
  return Number(await page.locator('.pane').first().getAttribute('data-frame'))
}

/** RGB of a pane. */
async function pixels(page: Page, pane: number): Promise<Uint8Array> {
  const rgba = await page
    .locator('.pane canvas')
    .nth(pane)
    .evaluate(element => {
      const canvas = element as HTMLCanvasElement
      return [...canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data]
    })
  return Uint8Array.from(rgba.filter((_, i) => i % 4 !== 3))
}

/** Mean difference of bytes. */
function far(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length
}

function colours(labels: Uint8Array): Uint8Array {
  return Uint8Array.from([...labels].flatMap(label => [...aerialPalette[label]]))
}

async function audit(t: Test, page: Page): Promise<void> {
  await page.evaluate(axe)
  const found = await page.evaluate(async () => {
    const result = await (globalThis as unknown as { axe: { run(): Promise<AxeResult> } }).axe.run()
    return result.violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .map(({ html }) => html.slice(0, 120))
            .slice(0, 3)
            .join(' | ')}`,
      )
  })
  t.same(found, [], 'no serious violations')
}

interface AxeResult {
  violations: { id: string; impact: string; nodes: { html: string }[] }[]
}

async function shoot(page: Page, name: string): Promise<void> {
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
}
