/** Makes the certificate of an account: what its old servers list now, and where each message of that is. docs/decisions/0265-certificates.md */

import { Slice } from '#gateway/backend/slice.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Statement } from '#src/certificate/format.ts'
import type { SigningKey } from '#src/certificate/signing-key.ts'
import { CertificateWriter } from '#src/certificate/writer.ts'
import type { UserBackends } from '#src/config/backends.ts'
import { entryOf } from './entry.ts'
import { Here } from './here.ts'
import type { ProofProgress } from './progress.ts'
import type { Replay } from './replay.ts'
import { isPop3, lookThere } from './sides.ts'
import type { MailboxThere, There } from './there.ts'

export interface ProofRequest {
  readonly gateway: Gateway
  readonly userId: UserId
  readonly backends: UserBackends
  readonly password: Buffer | undefined
  /** Of the account's certificates. */
  readonly directory: string
  readonly progress: ProofProgress
  readonly signal: AbortSignal
}

/** Throws BackendError, StoreError, CertificateError. `replay`: a login here, when somebody can. `notGivenBeside`: by the record of the migration. */
export const certify = async (
  request: ProofRequest,
  occasion: Statement['occasion'],
  key: SigningKey,
  replay: (pop3: boolean) => Promise<Replay | undefined>,
  notGivenBeside: readonly string[] = [],
): Promise<{ readonly file: string; readonly statement: Statement }> => {
  const { gateway, userId, backends, password, directory, progress, signal } = request
  await using here = await Here.open(gateway.store.account(userId), gateway.access.limits)
  await using writer = await CertificateWriter.open(directory)
  const urls: string[] = []
  const leftOut: string[] = []
  let standing = 0
  for (const backend of [backends.master, ...backends.extra])
    await lookThere({ gateway, userId, backend, password, here, signal }, async (there) => {
      await using login = await replay(isPop3(backend))
      urls.push(there.url)
      leftOut.push(...there.leftOut)
      progress.expect(there.expected)
      for await (const mailbox of there.mailboxes())
        standing += await addMailbox({ writer, there, here, pop3: isPop3(backend), progress, login }, mailbox)
    })
  const made = new Date(gateway.clock.now()).toISOString()
  return await writer.finish(
    {
      account: userId,
      made,
      occasion,
      backends: urls,
      digests: 'recorded',
      others: here.messages - standing,
      ...(leftOut.length === 0 ? {} : { leftOut }),
      ...(notGivenBeside.length === 0 ? {} : { notGivenBeside }),
    },
    key,
    `${made.replaceAll(':', '-')}.json`,
  )
}

interface Looked {
  readonly writer: CertificateWriter
  readonly there: There
  readonly here: Here
  readonly pop3: boolean
  readonly progress: ProofProgress
  readonly login: Replay | undefined
}

/** Answers how many of its messages are here. */
const addMailbox = async (
  { writer, there: { url }, here, pop3, progress, login }: Looked,
  there: MailboxThere,
): Promise<number> => {
  const like = here.byId(there.idHere)
  const standingAt = await here.standings(there, url, pop3)
  const entries = writer.mailbox()
  const slice = new Slice()
  let inOrder = true
  let last = 0
  for (let position = 0; position < there.messages.length; position++) {
    if (slice.isOver()) await slice.next()
    const standing = standingAt(position)
    if (!('exception' in standing) && standing.mailbox.id === there.idHere) {
      inOrder &&= standing.record.uid > last
      last = standing.record.uid
    }
    const written = entries.add(entryOf(there, position, standing))
    if (written !== undefined) await written
    progress.done(1)
  }
  const { here: standing } = entries.end({
    backend: url,
    from: there.path.toWellFormed(),
    listed: there.listed,
    inOrder,
    replayed: like !== undefined && (await login?.confirms(like)) === true,
    // pop3d shows INBOX.
    isOther: like === undefined || (pop3 ? like.name !== 'INBOX' : like.uidValidity !== there.uidValidity),
    ...(like === undefined ? {} : { mailbox: like.name, uidNext: like.uidNext }),
    ...(like === undefined || pop3 ? {} : { uidValidity: like.uidValidity }),
    ...(there.uidValidity === undefined ? {} : { uidValidityThere: there.uidValidity }),
    ...(there.uidNext === undefined ? {} : { uidNextThere: there.uidNext }),
  })
  return standing
}
