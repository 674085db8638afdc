/** The octets that a URL of a message or of a part of one names. RFC 5092 §6 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { ImapUrl } from '../proto/imap/url.ts'
import type { Account, Mailbox } from '../store/types.ts'
import { type Body, Budget, Prepared } from './bodies.ts'

export interface UrlPart extends AsyncDisposable {
  readonly body: Body
}

/** `local`: the URL's mailbox as the account calls it. undefined: there is no such message or part. Throws StoreError. */
export async function openUrlPart(account: Account, local: string, url: ImapUrl): Promise<UrlPart | undefined> {
  const mailbox = await account.open(local)
  try {
    await mailbox.refresh()
    const prepared = await prepare(mailbox, url)
    const body = await prepared?.body(url)
    if (prepared !== undefined && body !== undefined)
      return {
        body,
        [Symbol.asyncDispose]: async () => {
          await prepared[Symbol.asyncDispose]()
          await mailbox.close()
        },
      }
    await prepared?.[Symbol.asyncDispose]()
  } catch (error) {
    await mailbox.close()
    if (error instanceof StoreError && error.kind === 'expunged') return undefined
    throw error
  }
  await mailbox.close()
  return undefined
}

async function prepare(mailbox: Mailbox, url: ImapUrl): Promise<Prepared | undefined> {
  if (url.uid === undefined || (url.uidValidity !== undefined && url.uidValidity !== mailbox.uidValidity))
    return undefined
  const uid = url.uid as Uid
  if (mailbox.byUid(uid)?.isHere === false) await mailbox.bring([uid])
  const record = mailbox.byUid(uid)
  return record === undefined ? undefined : await Prepared.of(mailbox, record, false, [url], new Budget())
}
