import { get, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { createAuthority, DashboardServer, issueCertificate, TokenAccess } from '@kestrel/ground-station'
import { Incidents, silentLog, VirtualClock } from '@kestrel/runtime'
import t from 'tap'

const token = 'a-token-of-some-length'

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
}

function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; ca?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers, ca } = options
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? requestTls : requestPlain
    request(url, { method, headers, ca, agent: false }, response => {
      response.resume()
      resolve({ status: response.statusCode ?? 0, headers: response.headers })
    })
      .on('error', reject)
      .end()
  })
}

function upgrade(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = get(url, {
      agent: false,
      headers: { connection: 'Upgrade', upgrade: 'websocket', ...headers },
    })
    asking.on('response', response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asking.on('upgrade', (_, socket) => {
      socket.destroy()
      resolve(101)
    })
    asking.on('error', reject)
  })
}

async function serve(certificate?: { key: string; certificate: string }) {
  const incidents = new Incidents({ log: silentLog, clock: new VirtualClock(0) })
  const access = new TokenAccess({ token, secure: certificate !== undefined, incidents })
  let orders = 0
  const server = new DashboardServer({
    host: '127.0.0.1',
    port: 0,
    routes: [
      access.routes,
      app => {
        app.post('/api/order', context => context.json({ orders: ++orders }))
      },
    ],
    sockets: {
      '/live': (_, socket) =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n'),
    },
    authorize: access.authorize,
    certificate,
    log: silentLog,
  })
  await server.start()
  return { server, url: server.url!, incidents, orders: () => orders }
}

t.test(
  'without the token nothing is shown and nothing steered; with it a cookie that scripts and other sites do not have',
  async t => {
    const { server, url, incidents, orders } = await serve()
    for (const path of ['/', '/api/order', '/live', '/index.html', '/api/../enter']) {
      t.equal((await ask(`${url}${path}`)).status, 401, path)
    }
    t.equal((await ask(`${url}/api/order`, { method: 'POST' })).status, 401)
    t.equal((await ask(`${url}/enter/wrong`)).status, 401)
    t.equal((await ask(`${url}/enter/${token}`, { method: 'POST' })).status, 404)
    for (const cookie of [
      'kestrel-dashboard=',
      'kestrel-dashboard=x',
      `kestrel-dashboard=${token}`,
      'other=1',
    ]) {
      t.equal((await ask(`${url}/`, { headers: { cookie } })).status, 401, cookie)
    }
    t.equal(await upgrade(`${url}/live`, {}), 401)
    t.ok(incidents.counts.dashboard > 5)

    const entered = await ask(TokenAccess.entry(url, token))
    t.match(entered, { status: 302, headers: { location: '/' } })
    const set = String(entered.headers['set-cookie'])
    t.match(set, /HttpOnly; SameSite=Strict; Path=\/;/)
    t.notMatch(set, token)
    t.notMatch(set, /Secure/)
    const cookie = set.split(';')[0]
    t.not((await ask(`${url}/`, { headers: { cookie } })).status, 401)
    t.equal((await ask(`${url}/api/order`, { method: 'POST', headers: { cookie, origin: url } })).status, 200)
    t.equal(await upgrade(`${url}/live`, { cookie, origin: url }), 101)
    t.equal(orders(), 1)

    // A page of another site, in the browser of somebody who has the cookie.
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1']) {
      t.equal(
        (await ask(`${url}/api/order`, { method: 'POST', headers: { cookie, origin } })).status,
        403,
        origin,
      )
      t.equal(await upgrade(`${url}/live`, { cookie, origin }), 403, origin)
    }
    const host = 'evil.example'
    t.equal(
      (await ask(`${url}/`, { headers: { cookie, host } })).status,
      403,
      'a name that was given our address',
    )
    t.equal(orders(), 1)
    await server.stop()
  },
)

t.test('with TLS the cookie never leaves it', async t => {
  const authority = await createAuthority('test')
  const { server, url } = await serve(await issueCertificate(authority, ['kestrel-ground', '127.0.0.1']))
  t.match(url, /^https:/)
  const { headers, status } = await ask(TokenAccess.entry(url, token), { ca: authority.certificate })
  t.equal(status, 302)
  t.match(String(headers['set-cookie']), /; Secure/)
  await t.rejects(ask(url.replace('https', 'http')), 'there is no way without')
  await t.rejects(ask(url), 'and a client that does not know the authority notices')
  await server.stop()
})
