/** Messages that were put into a mailbox here go to its likeness at the backend, and are known by their UIDs there from then on. */
import type { Uid } from '#src/base/ids.ts'
import type { Log } from '#src/base/log.ts'
import type { Mailbox, MessageContent, MessageRecord } from '#src/store/types.ts'
import { BackendError } from '../../backend/errors.ts'
import { append } from '../../backend/imap/append.ts'
import type { ImapConnection } from '../../backend/imap/connection.ts'
import type { ImapFlow } from '../../backend/imap/control.ts'
import { originOf } from './origin.ts'
import { upload } from './remote.ts'

export interface SendRequest {
  readonly control: ImapFlow
  /** For large messages: a connection of its own. */
  readonly bulk: () => Promise<ImapConnection>
  readonly path: string
  readonly url: string
  readonly uidValidity: number
  readonly mailbox: Mailbox
  /** UIDs here. */
  readonly uids: readonly Uid[]
  /** The flags that the backend can keep; undefined: any. */
  readonly permanent: ReadonlySet<string> | undefined
  readonly log: Log
}

export interface Sent {
  readonly sent: number
  /** Taken by the backend, which did not tell as what. */
  readonly untold: readonly Uid[]
  readonly failed: number
}

/** Up to this size a message is held in memory, and needs no second connection. */
const heldOctets = 1_048_576

/** Origins become durable for so many messages at once. */
const atOnce = 25

/** One after the other. Throws BackendError when the session is lost, StoreError; what was sent and told is durable then. */
export async function sendMessages(request: SendRequest): Promise<Sent> {
  const { control, path, url, uidValidity, mailbox, log } = request
  let given: [uid: Uid, origin: string][] = []
  const untold: Uid[] = []
  let [sent, failed] = [0, 0]
  const settle = async () => {
    if (given.length > 0) await mailbox.giveOrigins(given)
    given = []
  }
  try {
    for (const uid of request.uids) {
      const record = mailbox.byUid(uid)
      // Expunged meanwhile: nobody wants it there.
      if (record === undefined) continue
      try {
        const told = await sendOne(request, record)
        sent += 1
        if (told?.uidValidity === uidValidity) given.push([uid, originOf(url, uidValidity, told.uid as Uid)])
        else untold.push(uid)
      } catch (error) {
        if (!(error instanceof BackendError) || error.kind !== 'temporary' || !control.usable) throw error
        failed += 1
        log.log('warning', 'the backend does not take a message; it will be sent again', {
          mailbox: path,
          uid,
          reply: error.serverText,
        })
      }
      if (given.length >= atOnce) await settle()
    }
  } finally {
    await settle()
  }
  return { sent, untold, failed }
}

async function sendOne(
  { control, bulk, path, mailbox, permanent }: SendRequest,
  record: MessageRecord,
): Promise<{ readonly uid: number; readonly uidValidity: number } | undefined> {
  await using content = await mailbox.content(record)
  const { sizeOctets } = content
  const flags = kept(record.flags, permanent)
  if (sizeOctets <= heldOctets)
    return await upload(control, path, await content.read(0, sizeOctets), flags, record.internalDate)
  const limit = control.capabilities.get('APPENDLIMIT')
  if (typeof limit === 'number' && sizeOctets > limit)
    throw new BackendError('temporary', `the backend takes no message above ${limit} octets`)
  const isBinary = control.capabilities.has('BINARY') && (await hasNul(content))
  return await append(await bulk(), {
    path,
    flags,
    internalDate: record.internalDate,
    content: { sizeOctets, chunks: content.stream(), isBinary },
  })
}

async function hasNul(content: MessageContent): Promise<boolean> {
  for await (const chunk of content.stream()) if (chunk.includes(0)) return true
  return false
}

/** The flags that a backend can keep. */
export function kept(flags: ReadonlySet<string>, permanent: ReadonlySet<string> | undefined): string[] {
  if (permanent === undefined) return [...flags]
  const lower = new Set([...permanent].map((flag) => flag.toLowerCase()))
  return [...flags].filter((flag) => lower.has(flag.toLowerCase()))
}
