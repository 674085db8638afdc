/** Reads a certificate as it was written, a line at a time, and checks it: signature, roots, and counts. */
import { open } from 'node:fs/promises'
import { canonical } from './canonical.ts'
import { asJson, type Entry, formatName, type MailboxSummary, type Statement, whyCountsDiffer } from './format.ts'
import { isSignedBy, keyId } from './signing-key.ts'
import { TreeHash } from './tree-hash.ts'
import { CertificateError } from './writer.ts'

export interface CertificateHead {
  readonly statement: Statement
  readonly signature: string
  readonly publicKey: string
}

export type CertificateLine =
  | { readonly head: CertificateHead }
  | { readonly mailbox: MailboxSummary; readonly line: string }
  | { readonly entry: Entry; readonly line: string }

/** Head, mailboxes, entries. Throws CertificateError for what is no certificate, and what the system refuses. */
export async function* certificateLines(file: string): AsyncGenerator<CertificateLine> {
  const fail = (what: string): never => {
    throw new CertificateError(`${file} is no certificate as it was written: ${what}`)
  }
  const handle = await open(file)
  try {
    const lines = handle.readLines()[Symbol.asyncIterator]()
    const next = async (): Promise<string> => {
      const { value, done } = await lines.next()
      return done === true ? fail('it ends too early') : value
    }
    const parsed = (text: string): unknown => {
      try {
        return JSON.parse(text)
      } catch {
        return fail('a line is no JSON')
      }
    }
    const head = parsed(`${await next()}${await next()}${(await next()).replace(/,$/, '')}}`) as CertificateHead
    if (head.statement?.format !== formatName) fail(`its format is not ${formatName}`)
    yield { head }
    if ((await next()) !== '"mailboxes":[') fail('its mailboxes are missing')
    for (let line = await next(); line !== '],'; line = await next()) {
      const text = line.replace(/,$/, '')
      if (text !== '') yield { mailbox: parsed(text) as MailboxSummary, line: text }
    }
    if ((await next()) !== '"entries":[') fail('its entries are missing')
    for (let line = await next(); line !== ']}'; line = await next()) {
      const text = line.replace(/,$/, '')
      if (text !== '') yield { entry: parsed(text) as Entry, line: text }
    }
  } finally {
    await handle.close()
  }
}

export const readHead = async (file: string): Promise<CertificateHead> => {
  for await (const line of certificateLines(file)) if ('head' in line) return line.head
  throw new CertificateError(`${file} is empty`)
}

/**
 * What is wrong with it; nothing: it is as it was signed. `trusted`: the public key (PEM) that it has to be signed with; undefined: the one that it
 * names, which proves only that nothing was changed since.
 */
export const faultsOf = async (file: string, trusted: string | undefined): Promise<readonly string[]> => {
  const faults: string[] = []
  const mailboxes: MailboxSummary[] = []
  const account = new TreeHash()
  let head: CertificateHead | undefined
  let at = 0
  let counted = { here: 0, entries: 0 }
  let tree = new TreeHash()
  const endMailbox = ({ from, listed, here, root }: MailboxSummary) => {
    if (counted.entries !== listed || counted.here !== here)
      faults.push(`${JSON.stringify(from)}: it has ${counted.entries} entries and ${counted.here} messages here`)
    if (tree.root() !== root) faults.push(`${JSON.stringify(from)}: its entries are not those that its root is of`)
    counted = { here: 0, entries: 0 }
    tree = new TreeHash()
    at++
  }
  const endFull = (): void => {
    for (
      let mailbox = mailboxes[at];
      mailbox !== undefined && counted.entries >= mailbox.listed;
      mailbox = mailboxes[at]
    )
      endMailbox(mailbox)
  }
  for await (const line of certificateLines(file)) {
    if ('head' in line) head = line.head
    else if ('mailbox' in line) {
      mailboxes.push(line.mailbox)
      account.add(line.line)
    } else {
      endFull()
      if (at === mailboxes.length) {
        faults.push('it has more entries than its mailboxes')
        break
      }
      counted = { here: counted.here + (line.entry.exception === undefined ? 1 : 0), entries: counted.entries + 1 }
      tree.add(line.line)
    }
  }
  endFull()
  if (at < mailboxes.length) for (const mailbox of mailboxes.slice(at)) endMailbox(mailbox)
  if (head === undefined) return ['it is empty']
  const { statement, signature, publicKey } = head
  if (account.root() !== statement.root) faults.push('its mailboxes are not those that its root is of')
  for (const counts of [statement, ...mailboxes]) {
    const wrong = whyCountsDiffer(counts)
    if (wrong !== undefined) faults.push(wrong)
  }
  return [...faults, ...signatureFaults(statement, signature, trusted ?? publicKey)]
}

const signatureFaults = (statement: Statement, signature: string, publicPem: string): readonly string[] => {
  try {
    if (keyId(publicPem) !== statement.key) return ['it is signed with another key']
    return isSignedBy(publicPem, canonical(asJson(statement)), signature) ? [] : ['its signature is wrong']
  } catch (error) {
    return [`its signature can not be checked: ${(error as Error).message}`]
  }
}
