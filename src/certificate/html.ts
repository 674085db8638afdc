/** A certificate to read and print: one page without scripts and without anything from elsewhere. Exceptions first. */
import { type Entry, exceptionTexts, type MailboxSummary, type Statement } from './format.ts'
import type { CertificateLine } from './reader.ts'

/** Of messages that are here and differ; the CSV has them all. */
const shownDiffering = 1_000

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0;width:100%}th,td{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:12px;word-break:break-all}.bad{color:#a00}.good{color:#060}`

/** In pieces, for a file. */
export async function* certificateHtml(lines: () => AsyncIterable<CertificateLine>): AsyncGenerator<string> {
  const mailboxes: MailboxSummary[] = []
  let statement: Statement | undefined
  for await (const line of lines()) {
    if ('entry' in line) break
    if ('mailbox' in line) mailboxes.push(line.mailbox)
    else {
      statement = line.head.statement
      yield heading(statement, line.head.signature)
    }
  }
  if (statement === undefined) return
  yield '<h2>Messages that are not here</h2>\n'
  const left = statement.listed - statement.here
  if (left === 0) yield '<p class="good">None.</p>\n'
  else {
    yield table(['Mailbox there', 'Message there', 'Octets there', 'Reason'])
    for await (const line of lines())
      if ('entry' in line && line.entry.exception !== undefined) yield exceptionRow(line.entry)
    yield '</table>\n'
  }
  yield '<h2>Mailboxes</h2>\n'
  yield table([
    'There',
    'Here',
    'Listed',
    'Here',
    'Not here',
    'A client fetches again',
    'Tried by a login',
    'UIDVALIDITY',
    'Root',
  ])
  for (const mailbox of mailboxes) yield mailboxRow(mailbox)
  yield '</table>\n<h2>Messages that are here and differ</h2>\n'
  let differing = 0
  for await (const line of lines()) {
    if (!('entry' in line) || line.entry.differs === undefined) continue
    if (++differing === 1) yield table(['Mailbox there', 'Message there', 'Here', 'Differs in'])
    if (differing <= shownDiffering) yield differingRow(line.entry)
  }
  yield differing === 0 ? '<p class="good">None.</p>\n' : '</table>\n'
  if (differing > shownDiffering) yield `<p>${differing - shownDiffering} more; the CSV has them all.</p>\n`
  yield '</body></html>\n'
}

export const escaped = (text: string): string =>
  text
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')

/** Its beginning; it ends with `</body></html>`. */
export const page = (title: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title><style>${style}</style></head><body>
<h1>${escaped(title)}</h1>
`

const heading = (statement: Statement, signature: string): string => {
  const { account, made, backends, listed, here, octets, again, others, root, key } = statement
  const reasons = Object.entries(statement.exceptions).map(([reason, count]) => [`… ${reason}`, String(count)])
  const rows: readonly (readonly string[])[] = [
    ['Account', account],
    ['True as of', made],
    ['Old server', backends.join(', ')],
    ['Messages that it lists', String(listed)],
    ['Of those here', `${here} (${octets} octets)`],
    ['Not here', String(listed - here)],
    ...reasons,
    ...(statement.leftOut ?? []).map((name) => ['Mailbox that the old server did not open', name]),
    ...(statement.notGivenBeside ?? []).map((line) => ['Beside mail, not as at the old server', line]),
    ['Fetched again by a client that knew the old server', String(again)],
    ['Messages here that no old server lists', String(others)],
    ['Digests', statement.digests === 'read' ? 'of the octets read from the disk' : 'recorded as the octets came'],
    ['Root', root],
    ['Key', key],
    ['Signature of the JSON', signature],
  ]
  return `${page(`Migration certificate of ${account}`)}
<table>${rows.map(([name, value]) => `<tr><th>${escaped(name!)}</th><td><code>${escaped(value!)}</code></td></tr>`).join('\n')}</table>
`
}

export const table = (names: readonly string[]): string =>
  `<table><tr>${names.map((name) => `<th>${escaped(name)}</th>`).join('')}</tr>\n`
export const row = (cells: readonly (string | number | undefined)[]): string =>
  `<tr>${cells
    .map((cell) => (typeof cell === 'number' ? `<td class="n">${cell}</td>` : `<td>${escaped(cell ?? '')}</td>`))
    .join('')}</tr>\n`

const messageThere = ({ uidThere, uidlThere, id }: Entry): string =>
  uidThere !== undefined ? `UID ${uidThere}` : (uidlThere ?? id)

const exceptionRow = (entry: Entry): string => {
  const { exception, detail } = entry
  const why = `${exception}: ${exceptionTexts[exception!] ?? ''}${detail === undefined ? '' : ` (${detail})`}`
  return row([entry.from, messageThere(entry), entry.sizeThere, why])
}

const differingRow = (entry: Entry): string =>
  row([entry.from, messageThere(entry), `${entry.mailbox} UID ${entry.uid}`, (entry.differs ?? []).join(', ')])

const mailboxRow = (summary: MailboxSummary): string => {
  const { from, mailbox, listed, here, again, client, replayed, uidValidity, uidValidityThere, root } = summary
  const validity =
    uidValidity === uidValidityThere ? `${uidValidity ?? ''}` : `${uidValidityThere} there, ${uidValidity} here`
  return row([
    from,
    mailbox ?? 'none',
    listed,
    here,
    listed - here,
    `${client}: ${again}`,
    replayed ? 'yes' : 'no',
    validity,
    root,
  ])
}
