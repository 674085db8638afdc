/** What is told of a mailbox whose name, or whose subscription, changed. RFC 5465 §5.4, §5.5 */

import { StoreError } from '../../base/errors.ts'
import { formatListLine } from '../../proto/imap/list.ts'
import { usesOf } from '../../store/special-use.ts'
import type { Session } from '../session.ts'

/** The LIST response. `oldName`: it was renamed. */
export async function nameLine(session: Session, name: string, oldName?: string): Promise<string> {
  const attributes = await attributesOf(session, name)
  const isThere = !attributes.includes('\\NonExistent')
  return formatListLine(session.spelling, 'LIST', attributes, name, { oldName: isThere ? oldName : undefined })
}

/** All of them, as they are now. A store that can't be asked leaves out what it would say. */
async function attributesOf(session: Session, name: string): Promise<readonly string[]> {
  const { account, hierarchy } = session
  const attributes: string[] = []
  try {
    const place = await hierarchy.permit(name)
    const isOwn = place.rightsOn === undefined
    const found = await place.account.find(place.local)
    if (found?.selectable !== true) attributes.push('\\NonExistent')
    else if (!place.rights.has('r')) attributes.push('\\NoAccess')
    // What of another's is below it may be hidden.
    if (found !== undefined && isOwn) attributes.push(found.hasChildren ? '\\HasChildren' : '\\HasNoChildren')
    if (found?.selectable === true && isOwn) attributes.push(...((await usesOf(account)).get(name) ?? []))
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.kind === 'not-found') attributes.push('\\NonExistent')
  }
  const subscribed: readonly string[] = await account.subscriptions().catch(() => [])
  if (subscribed.includes(name)) attributes.push('\\Subscribed')
  return attributes
}
