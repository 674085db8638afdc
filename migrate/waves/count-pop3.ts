/** What a POP3 server has of one user, by STAT, LIST and UIDL alone: nothing is retrieved, nothing deleted. */
import type { PopClient } from '#gateway/backend/types.ts'
import type { Counted } from './count-imap.ts'
import type { Risk } from './risks.ts'
import { sizes } from './sizes.ts'

/** Throws BackendError. */
export const countPop3 = async (client: PopClient, mailbox: string, removes: boolean): Promise<Counted> => {
  const total = sizes()
  for (const octets of (await client.list()).values()) total.add(octets, mailbox)
  const unique = client.count === 0 ? { listed: [] } : await client.uidl()
  const risks: Risk[] = [...total.risks()]
  if (unique === undefined) risks.push({ kind: 'no-uidl', found: 'UIDL is not known to the server' })
  else {
    const given = unique.listed.map(({ uidl }) => uidl).filter((uidl) => uidl !== '')
    const repeated = unique.listed.length - new Set(given).size
    if (repeated > 0) risks.push({ kind: 'repeated-uidls', found: `${repeated} of ${unique.listed.length} messages` })
  }
  if (client.capabilities.expireDays === 0 || removes)
    risks.push({ kind: 'deletes-when-read', found: removes ? 'seen before' : 'the server announces EXPIRE 0' })
  return { mailboxes: 1, ...total.counts, uidl: unique !== undefined, risks }
}
