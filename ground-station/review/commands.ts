import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createLog, messageOf, stopSignal, UserError } from '@kestrel/runtime'
import { Command, Option } from 'commander'
import { DashboardServer } from '../dashboard/server.js'
import { loadGroundConfig, logDir } from '../service/config.js'
import { type ExportFormat, exportFlight, exportFormats } from './export/export.js'
import { FlightLibrary } from './library.js'
import { openLog } from './open-log.js'
import type { Recording } from './recording.js'
import { writeReport } from './report/report.js'
import { mountReview } from './routes.js'

const DEFAULT_DIR = 'logs'
const DEFAULT_PORT = 8081

const students = () =>
  new Option(
    '--student <file...>',
    'where the student of the flights lies, to run it again before and after updates',
  )

/** `kestrel-ground review`: looks at flights in a browser, until SIGINT or SIGTERM. */
export function reviewCommand(): Command {
  return new Command('review')
    .description('look at flights in the browser: frames, labels, map, curves, what updates changed')
    .argument(
      '[log]',
      'a folder of flights, a flight, or a log file (.mcap, .tlog, .ulg); by default that of --config',
    )
    .option('-c, --config <file>', 'the configuration, ground.yaml, that says where flights are logged')
    .option('-p, --port <number>', `port on this machine; 0 takes any free one (default ${DEFAULT_PORT})`)
    .option('--no-open', 'do not open a browser')
    .addOption(students())
    .action(async (log: string | undefined, options: ReviewOptions) => {
      const library = new FlightLibrary(whereLogs(log, options.config), { students: options.student })
      // Says at once what is wrong with a log that is alone.
      const { single } = library
      if (single !== undefined) await library.use(single, recording => recording.view())
      else await library.list()
      const server = new DashboardServer({
        host: '127.0.0.1',
        port: portOf(options.port),
        home: 'review',
        routes: [app => mountReview(app, library)],
        log: createLog('review', { level: 'warn' }),
      })
      await server.start()
      const page = `${server.url}/review${single === undefined ? '' : `#/flight/${encodeURIComponent(single)}`}`
      process.stdout.write(`Review of ${library.root}: ${page}\nCtrl+C ends it.\n`)
      if (options.open) openBrowser(page)
      await once(stopSignal(), 'abort')
      await server.stop()
      await library.close()
    })
}

interface ReviewOptions {
  config?: string
  port?: string
  open: boolean
  student?: string[]
}

/** `kestrel-ground report`: one page about flights, to mail. */
export function reportCommand(): Command {
  return new Command('report')
    .description('write one self-contained page about flights: summary, map, curves, moments, configuration')
    .argument('<log...>', 'flights, or log files')
    .requiredOption('-o, --out <file>', 'the page, such as report.html')
    .addOption(students())
    .action(async (logs: string[], { out, student }: { out: string; student?: string[] }) => {
      await withLogs(logs, student, async recordings => {
        writeOut(out, await writeReport(recordings))
        process.stdout.write(`${out}\n`)
      })
    })
}

/** `kestrel-ground export`: a flight for other programs. */
export function exportCommand(): Command {
  return new Command('export')
    .description('write a flight for other programs')
    .argument('<log>', 'a flight, or a log file')
    .addOption(
      new Option(
        '-f, --format <format>',
        Object.entries(exportFormats)
          .map(([name, what]) => `${name}: ${what}`)
          .join('; '),
      )
        .choices(Object.keys(exportFormats))
        .makeOptionMandatory(),
    )
    .requiredOption('-o, --out <path>', 'the file, or for a dataset the folder')
    .action(async (log: string, { format, out }: { format: ExportFormat; out: string }) => {
      await withLogs([log], undefined, async ([recording]) => {
        for (const line of await exportFlight(recording, { format, out, source: log })) {
          process.stdout.write(`${line}\n`)
        }
      })
    })
}

async function withLogs(
  logs: string[],
  students: string[] | undefined,
  work: (recordings: Recording[]) => Promise<void>,
): Promise<void> {
  const recordings: Recording[] = []
  try {
    for (const log of logs) recordings.push(await openLog(log, { students }))
    await work(recordings)
  } finally {
    for (const recording of recordings) await recording.close()
  }
}

/** @throws UserError where nobody says where logs are */
function whereLogs(log: string | undefined, config: string | undefined): string {
  if (log !== undefined) return resolve(log)
  if (config !== undefined) return resolve(logDir(loadGroundConfig(config)))
  if (existsSync(DEFAULT_DIR)) return resolve(DEFAULT_DIR)
  throw new UserError(
    'Which flights? Name a folder of flights, a flight or a log file, or give --config ground.yaml',
  )
}

function portOf(text: string | undefined): number {
  const port = text === undefined ? DEFAULT_PORT : Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new UserError(`--port is ${text}; expected a number from 0 to 65535`)
  return port
}

function writeOut(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (cause) {
    throw new UserError(`Cannot write ${file}: ${messageOf(cause)}`, { cause })
  }
}

/** Where there is a screen. It not working is no failure: the address was printed. */
export function openBrowser(url: string): void {
  if (process.platform !== 'darwin' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return
  const child = spawn(process.platform === 'darwin' ? 'open' : 'xdg-open', [url], {
    stdio: 'ignore',
    detached: true,
  })
  child.once('error', () => undefined)
  child.unref()
}
