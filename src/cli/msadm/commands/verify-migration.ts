import { open } from 'node:fs/promises'
import type { UserId } from '../../../base/ids.ts'
import { certificatesIn } from '../../../certificate/certificates.ts'
import { type Finding, findingTexts, type Verification } from '../../../certificate/finding.ts'
import { faultsOf } from '../../../certificate/reader.ts'
import { CertificateError } from '../../../certificate/writer.ts'
import { userAtOldServer } from '../at-old-server.ts'
import { compareWithCertificate } from '../certified.ts'
import { type Command, CommandError, type Context, readArguments, UsageError } from '../command.ts'
import { directoryOf, prove, signingKey } from '../proving.ts'

export const verifyMigration: Command = {
  name: 'verify-migration',
  usage: 'verify-migration {[-p password] | --here} userid',
  summary: "reads a migrated user's mail on both sides again, and tells every difference",
  details: `  -p password    the user's at the old server, where ms_sync.xml has none; -p - reads it from standard input
  --here         the old server is gone: compares what is here with the newest certificate, of which the signature is checked first

Every message is read from the old server and from the disk here, and compared by the SHA-256 of its octets; flags, dates, UIDs and
unique-ids as well. Neither side is changed. A finding is 'since' where it follows from what was done after the mail was pulled (new mail, deleted mail, changed
flags), else 'difference'. Asks ms_syncd, which has to run.
Exit status: 0 no difference; 1 differences, or it could not be done.

Examples
  msadm verify-migration joe@example.org      msadm --json verify-migration -p - joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      here: { type: 'boolean' },
    })
    if (values.here === true && values.p !== undefined)
      throw new UsageError('--here asks no old server, and takes no -p')
    const user = await userAtOldServer(positionals, values.p, context)
    if (values.here === true) return await verifyHere(user.userId, context)
    const { file } = await prove('migration-verify', user, context)
    failOn(await show(file, context))
  },
}

const failOn = ({ findings, explained }: Verification): void => {
  if (findings > explained) throw new CommandError(`${findings - explained} differences`)
}

const verifyHere = async (userId: UserId, context: Context): Promise<void> => {
  const file = (await certificatesIn(directoryOf(userId, context))).at(-1)
  if (file === undefined) throw new CommandError(`${userId} has no certificate`)
  try {
    const faults = await faultsOf(file, (await signingKey(context)).publicPem)
    if (faults.length > 0) throw new CommandError(`${file} is not as it was signed: ${faults.join('; ')}`)
    const account = context.store().account(userId)
    const tell = (finding: Finding) => context.print(lineOf(finding), finding)
    const summary = await compareWithCertificate(file, account, tell, context.showProgress(false))
    print(summary, 'in the certificate', context)
    failOn(summary)
  } catch (error) {
    if (error instanceof CertificateError) throw new CommandError(error.message)
    throw error
  }
}

const show = async (file: string, context: Context): Promise<Verification> => {
  const handle = await open(file)
  let summary: Verification | undefined
  try {
    for await (const line of handle.readLines()) {
      const told = JSON.parse(line) as Finding | { readonly summary: Verification }
      if ('summary' in told) summary = told.summary
      else context.print(lineOf(told), told)
    }
  } finally {
    await handle.close()
  }
  if (summary === undefined) throw new CommandError(`${file} is not complete`)
  print(summary, 'at the old server', context)
  return summary
}

const print = (summary: Verification, where: string, context: Context): void => {
  const { listed, compared, octets, same, findings, explained } = summary
  context.print(
    `${listed} messages ${where}, ${compared} compared (${octets} octets), ${same} the same on both sides; ${findings} findings, ${explained} of them since`,
    { summary },
  )
}

const lineOf = ({ kind, isExplained, from, id, mailbox, uid, detail }: Finding): string => {
  const here = mailbox === undefined ? undefined : `${JSON.stringify(mailbox)}${uid === undefined ? '' : ` UID ${uid}`}`
  const place = here ?? (from === undefined ? '' : `${JSON.stringify(from)} there`)
  const source = id === undefined ? '' : ` (${id})`
  return `${isExplained ? 'since' : 'difference'} ${kind}: ${place}${source}: ${findingTexts[kind]}${detail === undefined ? '' : `: ${detail}`}`
}
