/** The octets that a URL of a message or of a part of one names. RFC 5092 §6 */

import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { ImapUrl } from '../proto/imap/url.ts'
import type { Account, Mailbox } from '../store/types.ts'
import { Budget, Prepared } from './bodies.ts'

/**
 * The URL's message; `local`: its mailbox as the account calls it. undefined: there is no such message. The summary is there where the URL names a
 * section, or `needsSummary`. Throws StoreError.
 */
export async function openUrlMessage(
  account: Account,
  local: string,
  url: ImapUrl,
  { needsSummary = false }: { readonly needsSummary?: boolean } = {},
): Promise<Prepared | undefined> {
  // Octets stay readable when the mailbox is closed.
  await using mailbox = await account.open(local)
  await mailbox.refresh()
  try {
    return await prepare(mailbox, url, needsSummary)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'expunged') return undefined
    throw error
  }
}

async function prepare(mailbox: Mailbox, url: ImapUrl, needsSummary: boolean): Promise<Prepared | undefined> {
  if (url.uid === undefined || (url.uidValidity !== undefined && url.uidValidity !== mailbox.uidValidity))
    return undefined
  const uid = url.uid as Uid
  if (mailbox.byUid(uid)?.isHere === false) await mailbox.bring([uid])
  const record = mailbox.byUid(uid)
  return record === undefined ? undefined : await Prepared.of(mailbox, record, needsSummary, [url], new Budget())
}
