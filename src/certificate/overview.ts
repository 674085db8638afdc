/** One table over the certificates of many accounts: what a wave, or a whole site, has to show. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { certificatesIn } from './certificates.ts'
import { cell } from './csv.ts'
import type { Statement } from './format.ts'
import { page, row, table } from './html.ts'
import { readHead } from './reader.ts'
import { CertificateError } from './writer.ts'

export interface Indexed {
  readonly file: string
  readonly statement: Statement
}

export interface Newest {
  /** By account. */
  readonly certificates: readonly Indexed[]
  /** What is wrong with those that can't be read. */
  readonly faults: readonly string[]
}

/** The newest of each account; one that can't be read hides no other. `directory`: of all certificates. Throws what the system refuses. */
export const newestCertificates = async (directory: string): Promise<Newest> => {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return []
  })
  const found: Indexed[] = []
  const faults: string[] = []
  for (const entry of entries) {
    if (!entry.isDirectory()) continue
    const file = (await certificatesIn(join(directory, entry.name))).at(-1)
    if (file === undefined) continue
    try {
      found.push({ file, statement: (await readHead(file)).statement })
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      faults.push(error.message)
    }
  }
  return { certificates: found.sort((a, b) => (a.statement.account < b.statement.account ? -1 : 1)), faults }
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
