import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Dashboard } from '@kestrel/ground-station'
import { RealClock, silentLog } from '@kestrel/runtime'
import { aerialClasses, aerialPalette } from '@kestrel/simulator'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { noBrowser, openBrowser } from '../../support/chromium.js'
import { ScriptedDrone, ScriptedViews } from '../../support/scripted-flight.js'

const skip = noBrowser() ?? false
const shots = join(import.meta.dirname, '../../../../out/screenshots')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const WRONG = [255, 45, 85]

t.setTimeout(590_000)

/** A dashboard on a free port, and drones that fly by script. */
async function fly(t: Test, names: string[], options: { silent?: boolean } = {}) {
  const drones: ScriptedDrone[] = []
  const dashboard: Dashboard = new Dashboard({
    config: {
      dashboard: { enabled: true, host: '127.0.0.1', port: 0, access: 'auto' },
      scores: { framesPerSegment: 3, windowS: 60 },
      uplinkKbps: 200,
    },
    student: { classes: [...aerialClasses], palette: [...aerialPalette] },
    station: {
      async command(name, order) {
        await new Promise(resolve => setTimeout(resolve, 300))
        return drones.find(drone => drone.name === name)!.follow(order)
      },
    },
    clock: new RealClock(),
    log: silentLog,
  })
  await dashboard.start()
  drones.push(...names.map((name, i) => new ScriptedDrone(name, i, dashboard.observer)))
  const views = new ScriptedViews()
  t.teardown(async () => {
    await dashboard.stop()
    await views.stop()
  })
  if (!options.silent) {
    for (const drone of drones) drone.arrive()
    // Seven minutes that have been flown already.
    const nowMs = Date.now()
    for (const [i, drone] of drones.entries()) {
      const view = await views.at(40 + 30 * i, {
        version: 6,
        captureMs: nowMs - 4000,
        wrong: 0.08 + 0.05 * i,
      })
      for (let s = 0; s < 3; s++) drone.second(s, nowMs - (3 - s) * 1000)
      for (let n = 1; n <= 6; n++) drone.phase(n, nowMs - (70 - 10 * n) * 1000, n === 4)
      drone.view(view)
    }
  }
  let s = 3
  const timer = setInterval(() => {
    if (options.silent) return
    for (const drone of drones) drone.second(s, Date.now())
    s++
  }, 1000)
  const stopTalking = () => clearInterval(timer)
  t.teardown(stopTalking)
  return { dashboard, drones, views, stopTalking, url: dashboard.url! }
}

/** A page that tells of everything that it should not do. */
async function open(
  t: Test,
  browser: Browser,
  url: string,
  options: { dark?: boolean; width?: number; height?: number } = {},
) {
  const { dark = false, width = 1440, height = 1000 } = options
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
  })
  t.teardown(() => context.close())
  const page = await context.newPage()
  const strays: string[] = []
  const errors: string[] = []
  page.on('request', request => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).host !== new URL(url).host)
      strays.push(request.url())
  })
  page.on('console', message => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))
  await page.goto(url)
  return { page, strays, errors }
}

async function serious(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const found = (await page.evaluate(
    'axe.run().then(result => result.violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map(node => node.html.slice(0, 120)) })))',
  )) as { id: string; impact: string; at: string[] }[]
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, at }) => `${id}: ${at.join(' | ')}`)
}

/** RGB of places in each of the three pictures: [place][picture][channel]. */
function pixels(page: Page, places: number[][]): Promise<number[][][]> {
  return page.evaluate(
    `${JSON.stringify(places)}.map(([x, y]) => [...document.querySelectorAll('canvas.picture')].map(canvas =>
      [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)))`,
  ) as Promise<number[][][]>
}

t.test('four drones, in a browser', { skip }, async t => {
  mkdirSync(shots, { recursive: true })
  const browser = await openBrowser()
  t.teardown(() => browser.close())

  await t.test(
    'the overlays are the labels, and what is ordered counts once the drone has confirmed it',
    async t => {
      const { drones, views, url } = await fly(t, ['heron', 'kite', 'osprey', 'swift'])
      const [drone] = drones
      const { page, strays, errors } = await open(t, browser, url)
      await page.getByRole('heading', { name: 'heron' }).waitFor()
      await page.locator('canvas.picture').nth(2).waitFor()
      t.equal(await page.locator('.drone').count(), 4)

      // With the labels at full strength every pixel has the colour of its class.
      await page.getByLabel('Labels').fill('100')
      const view = await views.at(40, { version: 6, captureMs: 0, wrong: 0.08 })
      const { teacher, student } = view.labels
      const places = Array.from({ length: 40 }, (_, i) => Math.floor(((i + 0.5) * teacher.data.length) / 40))
      const seen = await pixels(
        page,
        places.map(at => [2 * (at % teacher.width), 2 * Math.floor(at / teacher.width)]),
      )
      let wrong = 0
      for (const [i, at] of places.entries()) {
        const [found, truth, marked] = seen[i]
        t.same([found, truth], [aerialPalette[student.data[at]], aerialPalette[teacher.data[at]]])
        const differs = marked[0] > 200 && marked[1] < 90 && Math.abs(marked[0] - WRONG[0]) < 60
        t.equal(differs, student.data[at] !== teacher.data[at], `place ${at}: ${marked}`)
        if (differs) wrong++
      }
      t.ok(wrong > 0, 'some of the pixels looked at are wrong')
      await page.getByLabel('Labels').fill('55')

      const said = page.locator('.controls [role=status]')
      await page.getByRole('button', { name: 'Pause learning' }).click()
      t.match(await said.textContent(), 'Waiting')
      t.equal(drone.told.paused, false)
      await page.getByText('heron confirms: learning is paused.').waitFor()
      t.equal(drone.told.paused, true)
      await page.getByRole('button', { name: 'Resume learning' }).waitFor()

      await page.getByLabel('at most').fill('0.5')
      await page.getByRole('button', { name: 'Set', exact: true }).click()
      await page.getByText('heron confirms: between 0.1 and 0.5 frames/s are sampled.').waitFor()
      t.equal(drone.told.maxFps, 0.5)

      await page.getByRole('button', { name: 'Save checkpoint' }).click()
      await page.getByText('heron refuses: the disk is full.').waitFor()

      const { version } = drone.told
      await page.getByRole('button', { name: 'Roll back…' }).click()
      await page.getByRole('button', { name: 'Keep it' }).click()
      t.equal(drone.told.version, version)
      await page.getByRole('button', { name: 'Roll back…' }).click()
      await page.getByRole('button', { name: 'Roll back', exact: true }).click()
      await page.getByText('heron confirms: version').waitFor()
      t.equal(drone.told.version, version - 1)

      // By keyboard to another drone; the place can be shared.
      await page.locator('.drone').nth(2).focus()
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'osprey' }).waitFor()
      t.match(page.url(), '#/osprey')
      t.same(strays, [], 'nothing outside was asked for')
      t.same(errors, [])
      t.same(await serious(page), [])
      await page.screenshot({ path: join(shots, 'live-light.png'), fullPage: true })
    },
  )

  await t.test('dark, on a tablet, and when the link and the ground station go', async t => {
    const { drones, dashboard, stopTalking, url } = await fly(t, ['heron', 'kite'])
    const { page } = await open(t, browser, url, { dark: true })
    await page.locator('canvas.picture').nth(2).waitFor()
    const ground = () => page.evaluate('getComputedStyle(document.documentElement).backgroundColor')
    t.equal(await ground(), 'rgb(13, 17, 23)')
    await page.getByRole('button', { name: /^Theme/ }).click()
    t.equal(await ground(), 'rgb(238, 241, 245)', 'light, though the system is dark')
    await page.getByRole('button', { name: /^Theme/ }).click()
    t.equal(await ground(), 'rgb(13, 17, 23)')
    t.same(await serious(page), [])
    await page.screenshot({ path: join(shots, 'live-dark.png'), fullPage: true })
    const tablet = await open(t, browser, url, { width: 810, height: 1080 })
    await tablet.page.locator('canvas.picture').nth(2).waitFor()
    const wide = (await tablet.page.evaluate('document.documentElement.scrollWidth')) as number
    t.equal(wide, 810, 'nothing sticks out of the page')
    await tablet.page.screenshot({ path: join(shots, 'live-tablet.png'), fullPage: true })

    stopTalking()
    await page.getByText('Link lost').first().waitFor({ timeout: 15_000 })
    t.equal(await page.getByRole('button', { name: 'Pause learning' }).isDisabled(), true)
    await page.screenshot({ path: join(shots, 'live-link-lost.png'), fullPage: true })
    t.same(await serious(page), [])
    drones[0].leave()
    await page.locator('.title').getByText('Offline').waitFor()
    await dashboard.stop()
    await page.getByText('No ground station since').waitFor()
    await page.screenshot({ path: join(shots, 'live-no-ground.png'), fullPage: true })
    t.same(await serious(page), [])
  })

  await t.test('nothing yet', async t => {
    const { url, drones } = await fly(t, ['heron'], { silent: true })
    const { page } = await open(t, browser, url, { width: 1024, height: 768 })
    await page.getByText('No drone yet').waitFor()
    t.same(await serious(page), [])
    await page.screenshot({ path: join(shots, 'live-empty.png') })
    drones[0].arrive()
    await page.getByRole('heading', { name: 'heron' }).waitFor()
    await page.getByText('No frame yet').waitFor()
    await page.screenshot({ path: join(shots, 'live-first.png'), fullPage: true })
    t.same(await serious(page), [])
  })

  await t.test('four drones stay fluid, and a page that is loaded anew shows what was', async t => {
    const { url } = await fly(t, ['heron', 'kite', 'osprey', 'swift'])
    const { page } = await open(t, browser, url)
    await page.locator('canvas.picture').nth(2).waitFor()
    // The longest time in which the page draws nothing and answers nobody.
    const longest = (await page.evaluate(
      `new Promise(resolve => {
        let last = performance.now(), longest = 0, until = last + 6000
        const step = now => {
          longest = Math.max(longest, now - last)
          last = now
          now < until ? requestAnimationFrame(step) : resolve(longest)
        }
        requestAnimationFrame(step)
      })`,
    )) as number
    t.comment(`longest time between two pictures of the page: ${longest.toFixed(0)} ms`)
    t.ok(longest < 1500, `${longest} ms`)
    await page.reload()
    await page.locator('canvas.picture').nth(2).waitFor()
    t.equal(await page.locator('.updates tbody tr').count(), 6)
    t.match(await page.locator('figure.plot').first().getAttribute('aria-label'), /adapting \d/)
  })
})
