/** Flags of a backend, as this store can keep them. */
import type { ModSeq, Uid } from '#src/base/ids.ts'
import type { Flag, Mailbox } from '#src/store/types.ts'
import type { MailboxPlan } from './plan.ts'

/** Answers how many messages have other flags now. What a client changed meanwhile is left alone. */
export async function flagsHere(mailbox: Mailbox, changes: MailboxPlan['flagsHere'], from: ModSeq): Promise<number> {
  const groups = new Map<string, { readonly flags: readonly Flag[]; readonly uids: Uid[] }>()
  for (const { uid, flags } of changes) {
    const storable = storableFlags(mailbox, flags)
    const key = storable.toSorted().join(' ')
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { flags: storable, uids: [uid] })
    else group.uids.push(uid)
  }
  for (const { flags, uids } of groups.values())
    await mailbox.changeFlags({ uids, mode: 'set', flags, unchangedSince: from })
  return changes.length
}

const systemFlags = new Set(['\\answered', '\\flagged', '\\deleted', '\\seen', '\\draft'])
const maxKeywords = 1000

/** Without what this store can't keep: system flags of the server's own, keywords that are no atoms, or too many of them. */
export function storableFlags(mailbox: Mailbox, flags: readonly Flag[]): readonly Flag[] {
  return flags.filter((flag) => {
    if (flag.startsWith('\\')) return systemFlags.has(flag.toLowerCase())
    if (flag.length > 255 || !/^[^\x00-\x20\x7f-\uffff(){%*"\\\]]+$/.test(flag)) return false
    return mailbox.keywords.size < maxKeywords || mailbox.keywords.has(flag)
  })
}
