/** What `npm audit --json` comes down to. */
export type Verdict =
  /** The registry did not answer, or knows no advisories. */
  { kind: 'unknown'; why: string } | { kind: 'known'; serious: string[]; others: number }

interface Report {
  message?: string
  error?: { summary?: string }
  vulnerabilities?: Record<string, { name: string; severity: string; fixAvailable?: unknown }>
}

const serious = new Set(['high', 'critical'])

/** Reads the report of npm 7 and later. */
export function readAudit(output: string): Verdict {
  let report: Report
  try {
    report = JSON.parse(output)
  } catch {
    return { kind: 'unknown', why: 'npm audit gave no report' }
  }
  if (report.vulnerabilities === undefined) {
    return { kind: 'unknown', why: (report.error?.summary || report.message) ?? 'npm audit gave no report' }
  }
  const found = Object.values(report.vulnerabilities)
  const names = found
    .filter(({ severity }) => serious.has(severity))
    .map(({ name, severity }) => `${name} (${severity})`)
  return { kind: 'known', serious: names, others: found.length - names.length }
}
