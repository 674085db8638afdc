/** One table over the certificates of many accounts: what a wave, or a whole site, has to show. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { certificatesIn } from './certificates.ts'
import { cell } from './csv.ts'
import type { Statement } from './format.ts'
import { page, row, table } from './html.ts'
import { readHead } from './reader.ts'

export interface Indexed {
  readonly file: string
  readonly statement: Statement
}

/** The newest of each account, by account. `directory`: of all certificates. Throws CertificateError, and what the system refuses. */
export const newestCertificates = async (directory: string): Promise<readonly Indexed[]> => {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return []
  })
  const found: Indexed[] = []
  for (const entry of entries) {
    if (!entry.isDirectory()) continue
    const file = (await certificatesIn(join(directory, entry.name))).at(-1)
    if (file !== undefined) found.push({ file, statement: (await readHead(file)).statement })
  }
  return found.sort((a, b) => (a.statement.account < b.statement.account ? -1 : 1))
}

const columns = ['account', 'made', 'listed', 'here', 'exceptions', 'again', 'others', 'octets', 'root', 'key', 'file']

const cellsOf = ({ file, statement }: Indexed): readonly (string | number)[] => {
  const { account, made, listed, here, again, others, octets, root, key } = statement
  return [account, made, listed, here, reasonsOf(statement), again, others, octets, root, key, file]
}

export const reasonsOf = ({ exceptions }: Pick<Statement, 'exceptions'>): string =>
  Object.entries(exceptions)
    .map(([reason, count]) => `${reason} ${count}`)
    .join('; ')

export function* indexCsv(all: readonly Indexed[]): Generator<string> {
  yield `${columns.join(',')}\r\n`
  for (const indexed of all) yield `${cellsOf(indexed).map(cell).join(',')}\r\n`
}

/** Those with exceptions first. */
export function* indexHtml(all: readonly Indexed[], missing: readonly string[]): Generator<string> {
  const isWhole = ({ statement: { listed, here } }: Indexed) => listed === here
  const parts: readonly (readonly [string, readonly Indexed[]])[] = [
    ['Accounts with messages that are not here', all.filter((indexed) => !isWhole(indexed))],
    ['Accounts with everything here', all.filter(isWhole)],
  ]
  yield page('Migration certificates')
  if (missing.length > 0) {
    yield `<h2>Accounts without a certificate</h2>\n${table(['account'])}`
    for (const account of missing) yield row([account])
    yield '</table>\n'
  }
  for (const [heading, some] of parts) {
    yield `<h2>${heading}: ${some.length}</h2>\n`
    if (some.length === 0) continue
    yield table(columns)
    for (const indexed of some) yield row(cellsOf(indexed))
    yield '</table>\n'
  }
  yield '</body></html>\n'
}
