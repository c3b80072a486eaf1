/** What `kestrel-agent check` found out about one part. */
export interface Row {
  part: string
  works: boolean
  /** One line: what was found, and where it does not work, what to do. */
  text: string
}

/** Checks one part; whatever it throws becomes a row as well. */
export interface Check {
  part: string
  /** @returns what works, in one line @throws Error with what does not, and what to do */
  run(): Promise<string> | string
}

/** Runs a check. */
export async function rowOf({ part, run }: Check): Promise<Row> {
  try {
    return { part, works: true, text: oneLine(await run()) }
  } catch (error) {
    return { part, works: false, text: oneLine(error instanceof Error ? error.message : String(error)) }
  }
}

/** One line of the table. */
export function formatRow({ part, works, text }: Row): string {
  return `${works ? 'ok   ' : 'FAILS'}  ${part.padEnd(8)}  ${text}`
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').trim()
}
