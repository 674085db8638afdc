import { open } from 'node:fs/promises'
import { certificatesIn } from '../../../certificate/certificates.ts'
import { csvHeading, csvLine } from '../../../certificate/csv.ts'
import type { Statement } from '../../../certificate/format.ts'
import { certificateHtml } from '../../../certificate/html.ts'
import { indexCsv, indexHtml, newestCertificates, reasonsOf } from '../../../certificate/overview.ts'
import { certificateLines, faultsOf, readHead } from '../../../certificate/reader.ts'
import { CertificateError } from '../../../certificate/writer.ts'
import { userAtOldServer } from '../at-old-server.ts'
import { type Command, CommandError, type Context, canonical, readArguments, UsageError } from '../command.ts'
import { certificatesDirectory, directoryOf, prove, signingKey } from '../proving.ts'

export const certificate: Command = {
  name: 'certificate',
  usage:
    'certificate {[--new [-p password]] [--csv | --html | --file] [-o file] userid | --all [--csv | --html] [-o file] [userid ...] | --check file | --key}',
  summary: 'shows what of the old server is here, as it was signed when a user had been migrated',
  details: `  --new          makes one now: asks the old server what it has, and looks where that is
  -p password    with --new: the user's at the old server, where ms_sync.xml has none; -p - reads it from standard input
  --csv          a line for each message
  --html         a page to read and print, exceptions first
  --file         the signed file itself (JSON)
  -o file        writes there
  --all          the newest of every account, or of those named, in one table; of those named, who has none is told
  --check file   checks the signature, the roots and the counts of a signed file by the key of this installation
  --key          prints the public key, for others

Without --new it is the newest one that there is. It stays true as of its date, whatever users do afterwards; msadm verify-migration
compares both sides as they are now. docs/certificate.md says how to check one without this program.
Exit status: 0 done; 1 there is none, or it is not as it was signed.

Examples
  msadm certificate joe@example.org           msadm certificate --html -o joe.html joe@example.org
  msadm certificate --new -p - joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      new: { type: 'boolean' },
      p: { type: 'string', short: 'p' },
      csv: { type: 'boolean' },
      html: { type: 'boolean' },
      file: { type: 'boolean' },
      o: { type: 'string', short: 'o' },
      all: { type: 'boolean' },
      check: { type: 'string' },
      key: { type: 'boolean' },
    })
    const forms = [values.csv, values.html, values.file].filter(Boolean).length
    if (forms > 1) throw new UsageError('--csv, --html and --file exclude each other')
    if (values.o !== undefined && forms === 0) throw new UsageError('-o needs one of --csv, --html and --file')
    if (values.p !== undefined && values.new !== true) throw new UsageError('-p belongs to --new')
    if (values.all === true && (values.new === true || values.file === true))
      throw new UsageError('--all takes neither --new nor --file')
    try {
      if (values.all === true) return await showAll(positionals, values, context)
      if (values.key === true) return await showKey(context)
      if (values.check !== undefined) return await check(values.check, context)
      const user = await userAtOldServer(positionals, values.p, context)
      const { userId } = user
      if (values.new === true) await prove('migration-certify', user, context)
      const file = (await certificatesIn(directoryOf(userId, context))).at(-1)
      if (file === undefined)
        throw new CommandError(`${userId} has no certificate; msadm certificate --new ${userId} makes one`)
      if (values.csv === true) await write(csvOf(file), values.o, context)
      else if (values.html === true)
        await write(
          certificateHtml(() => certificateLines(file)),
          values.o,
          context,
        )
      else if (values.file === true) await write(octetsOf(file), values.o, context)
      else await check(file, context)
    } catch (error) {
      if (error instanceof CertificateError) throw new CommandError(error.message)
      throw error
    }
  },
}

const showAll = async (
  named: readonly string[],
  { o, csv, html }: { readonly o?: string; readonly csv?: boolean; readonly html?: boolean },
  context: Context,
): Promise<void> => {
  const wanted = new Set<string>(named.map((given) => canonical(given, context)))
  const newest = await newestCertificates(certificatesDirectory(context))
  const certificates = newest.certificates.filter(
    ({ statement: { account } }) => wanted.size === 0 || wanted.has(account),
  )
  const have = new Set<string>(certificates.map(({ statement: { account } }) => account))
  const missing = [...wanted].filter((account) => !have.has(account))
  if (csv === true) await write(indexCsv(certificates), o, context)
  else if (html === true) await write(indexHtml(certificates, missing), o, context)
  else
    for (const { file, statement } of certificates) {
      const { account, made, listed, here, root } = statement
      const left = listed === here ? '' : ` (${reasonsOf(statement)})`
      context.print(`${account} ${made} ${here} of ${listed} here${left} ${root}`, { ...statement, file })
    }
  const left = missing.length === 0 ? [] : [`${missing.length} have no certificate: ${missing.join(', ')}`]
  if (left.length + newest.faults.length > 0) throw new CommandError([...newest.faults, ...left].join('\n'))
}

const showKey = async (context: Context): Promise<void> => {
  const key = await signingKey(context)
  context.print(key.publicPem.trimEnd(), { key: key.id, publicKey: key.publicPem })
}

const check = async (file: string, context: Context): Promise<void> => {
  const { publicPem } = await signingKey(context)
  const { statement } = await readHead(file)
  const faults = await faultsOf(file, publicPem)
  context.print(textOf(statement, file), { ...statement, file, faults })
  if (faults.length > 0) throw new CommandError(`the certificate is not as it was signed: ${faults.join('; ')}`)
}

const textOf = (statement: Statement, file: string): string => {
  const { account, made, backends, listed, here, octets, again, others, exceptions, mailboxes, replayed, root } =
    statement
  const reasons = Object.entries(exceptions).map(([reason, count]) => `  ${reason}: ${count}`)
  return [
    `${account}, as of ${made}: ${file}`,
    `${listed} messages in ${mailboxes} mailboxes of ${backends.join(', ')}`,
    `${here} of them are here (${octets} octets), ${listed - here} are not`,
    ...reasons,
    ...(statement.leftOut ?? []).map(
      (name) => `  the mailbox ${JSON.stringify(name)} is listed there, and did not open`,
    ),
    ...(statement.notGivenBeside ?? []).map((line) => `  not given: ${line}`),
    `${again} are fetched again by a client that knew the old server (${replayed} mailboxes tried by a login); ${others} messages here are none of the old server's`,
    `root ${root}`,
  ].join('\n')
}

async function* csvOf(file: string): AsyncGenerator<string> {
  yield csvHeading
  for await (const line of certificateLines(file)) if ('entry' in line) yield csvLine(line.entry)
}

async function* octetsOf(file: string): AsyncGenerator<string> {
  const handle = await open(file)
  yield* handle.createReadStream({ encoding: 'utf8' })
}

const pieceLength = 64 * 1024

const write = async (
  pieces: AsyncIterable<string> | Iterable<string>,
  file: string | undefined,
  context: Context,
): Promise<void> => {
  if (file === undefined) {
    for await (const piece of pieces) await context.write(piece)
    return
  }
  const handle = await open(file, 'w', 0o600)
  try {
    let waiting = ''
    for await (const piece of pieces) {
      waiting += piece
      if (waiting.length < pieceLength) continue
      await handle.appendFile(waiting)
      waiting = ''
    }
    await handle.appendFile(waiting)
    await handle.sync()
  } finally {
    await handle.close()
  }
  context.note(`written to ${file}`)
}
