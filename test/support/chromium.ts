import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Why tests in a browser cannot run here; undefined where they can. On Debian as root it gets itself a browser first. */
export function noBrowser(): string | undefined {
  if (findBrowser() !== undefined) return undefined
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const get = (...args: string[]) =>
      spawnSync('apt-get', ['-q', ...args], { env, timeout: 400_000, stdio: 'ignore' })
    if (get('install', '-y', '--no-install-recommends', 'chromium').status !== 0) {
      get('update')
      get('install', '-y', '--no-install-recommends', 'chromium')
    }
    if (findBrowser() !== undefined) return undefined
  }
  return 'Chromium is not installed: apt-get install -y chromium, or name a browser in KESTREL_CHROMIUM'
}

function findBrowser(): string | undefined {
  return [process.env.KESTREL_CHROMIUM ?? '', ...places].find(place => place !== '' && existsSync(place))
}

/** The browser; it reaches nothing but this machine. @throws Error where there is none: ask `noBrowser` first */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: findBrowser(),
    // As root there is no sandbox; the address of a proxy that is not there keeps it off every network but the loopback.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--proxy-server=127.0.0.1:9',
      '--proxy-bypass-list=127.0.0.1;localhost',
    ],
  })
}
