/** Annotations of mailboxes (METADATA, RFC 5464), from an old server into those here. docs/decisions/0323-annotations-of-the-old-server.md */
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { getMetadata, type MetadataThere } from '#gateway/backend/imap/metadata.ts'
import type { ImapLogin } from '#gateway/backend/imap/open.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { maxMetadataOctets } from '#src/base/limits.ts'
import type { Backend } from '#src/config/backends.ts'
import { isMetadataEntry } from '#src/proto/imap/metadata.ts'
import { type Annotated, metadataOf, putMetadata } from '#src/store/metadata.ts'
import type { Account, Store } from '#src/store/types.ts'
import { askEach } from './each-mailbox.ts'
import type { Findings } from './findings.ts'

/** Of the server's own making, which say something of it alone; and what LIST tells of uses. */
const leftThere = /^\/(?:private|shared)\/(?:vendor\/(?:cmu|vendor\.dovecot)\/|specialuse$)/

/** Asks about each mailbox once in the life of the account. Throws BackendError of a lost connection, and StoreError. */
export const bringAnnotations = async (
  store: Store,
  owner: UserId,
  backend: Backend,
  { connection }: ImapLogin,
  findings: Findings,
): Promise<void> => {
  const account = store.account(owner)
  const url = backendUrl(backend, owner)
  let [kept, mailboxes] = [0, 0]
  const note = await askEach(connection, {
    account,
    url,
    key: `annotations of ${url}`,
    ask: (path) => getMetadata(connection, path, maxMetadataOctets),
    answered: async ({ name, idHere }, there) => {
      const count = await keep(account, { place: 'here', id: idHere }, there, (line) =>
        findings.notGivenOn(name, `annotations: ${line}`),
      )
      kept += count
      if (count > 0) mailboxes += 1
    },
    refused: ({ name }, error) => findings.notGivenOn(name, `annotations: ${error.message}: ${error.serverText}`),
  })
  await note()
  if (kept > 0) findings.given(`annotations: ${kept} of ${mailboxes === 1 ? 'a mailbox' : `${mailboxes} mailboxes`}`)
}

/** Answers how many are here now that were not. What is said here already counts. */
const keep = async (
  account: Account,
  mailbox: Annotated,
  { entries, largest }: MetadataThere,
  notGiven: (line: string) => void,
): Promise<number> => {
  if (largest !== undefined) notGiven(`one of ${largest} octets; here they have at most ${maxMetadataOctets}`)
  const here = await metadataOf(account, mailbox)
  const wanted = new Map(
    [...entries].filter(([entry]) => isMetadataEntry(entry) && !leftThere.test(entry) && !here.has(entry)),
  )
  if (wanted.size === 0) return 0
  try {
    await putMetadata(account, mailbox, wanted)
    return wanted.size
  } catch (error) {
    // Too many of them: none is kept.
    if (!(error instanceof StoreError) || error.kind !== 'limit') throw error
    notGiven(error.message)
    return 0
  }
}
