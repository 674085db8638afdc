/** The accounts of `msadm migrate -f` and `msadm wave create -f`: a CSV file (RFC 4180) in UTF-8, whose first line names the columns. */
import { readFile, stat } from 'node:fs/promises'
import { CsvError, parse } from 'csv-parse/sync'
import type { AccountRecord } from '../../auth/accounts.ts'
import { SyntaxFault } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import { CommandError, checkNewUserId, UsageError } from './command.ts'

type Property = AccountRecord['properties'][number]

export interface ListedAccount {
  readonly line: number
  /** As it is written. */
  readonly given: string
  readonly userId: UserId
  /** Undefined: the file has no such column. */
  readonly password: Buffer | undefined
  readonly properties: readonly Property[]
  /** By the names of `Reading.own`; '' where there is no such column. */
  readonly own: Readonly<Record<string, string>>
}

export interface Reading {
  /** Throws SyntaxFault. */
  readonly canonical: (given: string) => UserId
  /** `name=value`. Throws UsageError. */
  readonly property: (word: string) => Property
  /** Throws UsageError. */
  readonly password: (text: string) => Buffer
  /** Columns that are no properties, beside userid and password. */
  readonly own?: readonly string[]
  /** Looks at one account. Throws UsageError. */
  readonly check?: (account: ListedAccount) => void
  /** What did not happen when a line can't be used. */
  readonly undone?: string
}

const maxOctets = 64 << 20
const maxTold = 20
const usual = ['userid', 'password']

/** What somebody may call a column of passwords. */
const likePassword = /pas+w|^pas+$|passphrase|passwort|kennwort|pwd|secret/i

interface Row {
  readonly info: { readonly lines: number }
  readonly record: readonly string[]
}

/** All of them, or none: throws CommandError with every line that is wrong. */
export const readAccountsFile = async (file: string, reading: Reading): Promise<readonly ListedAccount[]> => {
  const { size } = await stat(file).catch((error: Error) => {
    throw new CommandError(`${file} can't be read: ${error.message}`)
  })
  if (size > maxOctets) throw new CommandError(`${file} has more than ${maxOctets >> 20} MB; divide it`)
  const [columns, ...rows] = rowsOf(file, await readFile(file))
  if (columns === undefined) throw new CommandError(`${file} is empty; its first line is userid,password`)
  const { own = [], undone = 'nobody was migrated' } = reading
  const known = [...usual, ...own]
  const names = columns.record.map((name) => known.find((one) => one === name.trim().toLowerCase()) ?? name.trim())
  const faults: string[] = []
  const fault = (line: number, message: string) => faults.push(`${file}:${line}: ${message}`)
  if (!names.includes('userid'))
    fault(columns.info.lines, 'there is no column userid; the first line names the columns')
  for (const name of names)
    if (!known.includes(name) && likePassword.test(name))
      fault(columns.info.lines, `a column ${name} would be a property, which everybody may see; is it password?`)
  for (const [at, name] of names.entries())
    if (names.indexOf(name) < at && known.includes(name)) fault(columns.info.lines, `there are two columns ${name}`)
  const accounts: ListedAccount[] = []
  const lines = new Map<UserId, number>()
  for (const { info, record } of faults.length > 0 ? [] : rows) {
    const line = info.lines
    if (record.length !== names.length) {
      fault(line, `there are ${record.length} values and ${names.length} columns`)
      continue
    }
    const value = (name: string) => record[names.indexOf(name)] ?? ''
    try {
      const given = value('userid').trim()
      const userId = reading.canonical(given)
      checkNewUserId(userId)
      const before = lines.get(userId)
      if (before !== undefined) throw new UsageError(`${userId} is on line ${before} already`)
      lines.set(userId, line)
      const properties = names.flatMap((name, at) =>
        known.includes(name) || record[at] === '' ? [] : [reading.property(`${name}=${record[at]}`)],
      )
      const password = names.includes('password') ? reading.password(value('password')) : undefined
      const listed = Object.fromEntries(own.map((name) => [name, value(name).trim()]))
      const account = { line, given, userId, password, properties, own: listed }
      reading.check?.(account)
      accounts.push(account)
    } catch (error) {
      if (!(error instanceof UsageError) && !(error instanceof SyntaxFault)) throw error
      fault(line, error.message)
    }
  }
  if (faults.length > 0) {
    const more = faults.length > maxTold ? [`and ${faults.length - maxTold} more`] : []
    throw new CommandError([`${undone}:`, ...faults.slice(0, maxTold), ...more].join('\n  '))
  }
  return accounts
}

const rowsOf = (file: string, octets: Buffer): readonly Row[] => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(octets)
  } catch {
    throw new CommandError(`${file} is not in UTF-8; save it as CSV in UTF-8`)
  }
  try {
    return parse(text, { info: true, relax_column_count: true, skip_empty_lines: true }) as unknown as readonly Row[]
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new CommandError(`${file}: ${error.message}`)
  }
}
