import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Ledger } from './ledger.ts'

const batch = 1000

/** An account with INBOX and Archive of so many messages each, which the ledger learns, and two mailboxes to rename. */
export async function fill(root: string, messages: number, ledger: Ledger): Promise<void> {
  await using store = openStore({ root, clock: systemClock, log: silentLog })
  const account = store.account('lena@example.com' as UserId)
  await account.ensure()
  for (const name of ['Archive', 'tree-0/in', 'tree-1/in']) await account.create(name)
  await using inbox = await account.open('INBOX')
  await using archive = await account.open('Archive')
  for (let from = 0; from < messages; from += batch) {
    await using delivery = inbox.deliver()
    for (let index = from; index < Math.min(messages, from + batch); index += 1) {
      const sink = delivery.add({ internalDate: 1_600_000_000 + index })
      await sink.write(Buffer.from(`Subject: there from the beginning ${index}\r\n\r\n`))
      await sink.end()
    }
    const delivered = await delivery.commit()
    await inbox.copyTo(
      delivered.flatMap((one) => ('uid' in one ? [one.uid] : [])),
      archive,
    )
  }
  for (const mailbox of [inbox, archive])
    for (const { uid, digest } of mailbox.messages) ledger.take(['saw', `${mailbox.id}/${uid}`, digest])
}
