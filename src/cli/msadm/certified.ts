/** What became of the messages of a certificate: for when the old server is not there any more. */
import { StoreError } from '../../base/errors.ts'
import type { Uid } from '../../base/ids.ts'
import type { Finding, Verification } from '../../certificate/finding.ts'
import type { Entry } from '../../certificate/format.ts'
import { certificateLines } from '../../certificate/reader.ts'
import { digestReadAgain } from '../../store/digest.ts'
import type { Account, Mailbox } from '../../store/types.ts'

const showEvery = 100

/** Reads the octets of every message again. Throws StoreError, CertificateError. */
export const compareWithCertificate = async (
  file: string,
  account: Account,
  tell: (finding: Finding) => void,
  show: ((text: string) => void) | undefined,
): Promise<Verification> => {
  const counts = { listed: 0, compared: 0, octets: 0, same: 0, findings: 0, explained: 0 }
  const find = (finding: Finding) => {
    counts.findings++
    if (finding.isExplained) counts.explained++
    tell(finding)
  }
  let mailbox: Mailbox | undefined
  let opened: string | undefined
  let expected = 0
  try {
    for await (const line of certificateLines(file)) {
      if ('head' in line) expected = line.head.statement.listed
      if (!('entry' in line)) continue
      const { entry } = line
      counts.listed++
      if (counts.listed % showEvery === 0) show?.(`${counts.listed} of ${expected} messages`)
      if (entry.mailbox === undefined) continue
      if (entry.mailbox !== opened) {
        await mailbox?.close()
        opened = entry.mailbox
        mailbox = await findMailbox(account, opened)
        if (mailbox === undefined)
          find({
            kind: 'mailbox-missing',
            isExplained: true,
            from: entry.from,
            detail: `${opened} was removed or renamed`,
          })
      }
      if (mailbox === undefined) continue
      const digest = await digestOf(mailbox, entry)
      if (digest === undefined) {
        find(missing(mailbox, entry))
        continue
      }
      counts.compared++
      if (digest === entry.digest) {
        counts.same++
        counts.octets += entry.octets!
      } else
        find({
          kind: 'damaged',
          isExplained: false,
          ...placeOf(entry),
          detail: digest instanceof Error ? digest.message : `SHA-256 is ${digest}`,
        })
    }
  } finally {
    await mailbox?.close()
    show?.('')
  }
  return { account: account.userId, made: new Date().toISOString(), ...counts }
}

const placeOf = ({ from, id, mailbox, uid }: Entry): Pick<Finding, 'from' | 'id' | 'mailbox' | 'uid'> => ({
  from,
  id,
  ...(mailbox === undefined ? {} : { mailbox }),
  ...(uid === undefined ? {} : { uid }),
})

/** Whoever deletes or moves a message here leaves its origin behind; a message that was lost leaves nothing. */
const missing = (mailbox: Mailbox, entry: Entry): Finding => {
  const state = mailbox.byOrigin(entry.id)
  const isExplained = state?.present === false
  const detail = isExplained ? 'it was deleted or moved here since' : 'nothing tells where it went'
  return { kind: 'missing-here', isExplained, ...placeOf(entry), detail }
}

const findMailbox = async (account: Account, name: string): Promise<Mailbox | undefined> => {
  try {
    return await account.open(name)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'not-found') return undefined
    throw error
  }
}

/** SHA-256, hex. Undefined: the message is not there. */
const digestOf = async (mailbox: Mailbox, { uid }: Entry): Promise<string | Error | undefined> => {
  const record = mailbox.byUid(uid as Uid)
  if (record === undefined) return undefined
  const digest = await digestReadAgain(mailbox, record)
  return typeof digest === 'string' ? Buffer.from(digest, 'base64url').toString('hex') : digest
}
