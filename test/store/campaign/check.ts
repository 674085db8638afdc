/** The account as a fresh process sees it, against what the workers said. */

import { createHash } from 'node:crypto'
import type { Account } from '#src/store/types.ts'
import type { Ledger } from './ledger.ts'
import type { Key } from './told.ts'

/** Adds what is wrong to the ledger's faults. Answers the number of messages that are there. */
export async function check(account: Account, ledger: Ledger): Promise<number> {
  const there = new Map<Key, { readonly digest: string; readonly modSeq: number }>()
  const names = new Map<string, string>()
  const { faults } = ledger
  for (const { name, selectable } of await account.list()) {
    if (!selectable) continue
    await using mailbox = await account.open(name)
    const { id } = mailbox
    if (names.has(id)) faults.push(`${id} is there as ${names.get(id)} and as ${name}`)
    names.set(id, name)
    const highest = ledger.highest.get(id)
    if (highest !== undefined && (mailbox.highestModSeq < highest.modSeq || mailbox.uidNext < highest.uidNext))
      faults.push(
        `${name} was shown at MODSEQ ${highest.modSeq}, UIDNEXT ${highest.uidNext}; it is at ${mailbox.highestModSeq}, ${mailbox.uidNext}`,
      )
    const origins = new Set<string>()
    let last = 0
    for (const message of mailbox.messages) {
      const key: Key = `${id}/${message.uid}`
      there.set(key, message)
      if (message.uid <= last) faults.push(`${key} is not above ${last}`)
      last = message.uid
      if (message.origin !== undefined && origins.has(message.origin))
        faults.push(`${message.origin} is in ${name} twice`)
      if (message.origin !== undefined) origins.add(message.origin)
      const digest = createHash('sha256')
      try {
        await using content = await mailbox.content(message)
        for await (const chunk of content.stream()) digest.update(chunk)
      } catch (error) {
        faults.push(`${key}: ${error}`)
        continue
      }
      if (digest.digest('base64url') !== message.digest)
        faults.push(`${key} does not have the octets that were delivered`)
    }
  }
  const digests = new Set(Array.from(there.values(), ({ digest }) => digest))
  for (const [key, digest] of ledger.digests) {
    const id = key.slice(0, key.indexOf('/'))
    if (ledger.removing.has(id)) continue
    const found = there.get(key)
    if (found === undefined && !ledger.leaving.has(key)) faults.push(`${key} is lost`)
    if (found !== undefined && found.digest !== digest) faults.push(`${key} has another content`)
    if (!digests.has(digest) && !ledger.expungedDigests.has(digest)) faults.push(`${key} was moved to nowhere`)
  }
  for (const key of ledger.expunged) if (there.has(key)) faults.push(`${key} was expunged and is there`)
  for (const key of ledger.vanished)
    if (!ledger.leaving.has(key)) faults.push(`${key} vanished, but nobody expunged it`)
  for (const [key, modSeq] of ledger.modSeqs) {
    const found = there.get(key)
    if (found !== undefined && found.modSeq < modSeq)
      faults.push(`${key} was changed at MODSEQ ${modSeq}, and is at ${found.modSeq}`)
  }
  for (const [name, id] of ledger.created)
    if (id !== undefined && names.get(id) !== name) faults.push(`${name} was made and is not there`)
  for (const id of ledger.removed) if (names.has(id)) faults.push(`${names.get(id)} was removed and is there`)
  for (const id of ledger.highest.keys())
    if (!names.has(id) && !ledger.removing.has(id)) faults.push(`the mailbox ${id} is nowhere`)
  return there.size
}
