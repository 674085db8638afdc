/**
 * One process of the process test: works on the mailboxes of one account until it is killed, and writes a line to its standard output after each
 * acknowledgement, and before each expunge. Arguments: store directory, name of this worker.
 */

import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox } from '#src/store/types.ts'

const [root, name] = process.argv.slice(2) as [string, string]
const store = openStore({ root, clock: systemClock, log: silentLog })
const account = store.account('lena@example.com' as UserId)
/** Synchronous: what was written is with the parent before anything else happens. */
const tell = (...fields: (string | number)[]) => void writeSync(1, `${fields.join('\t')}\n`)
const digestOf = (text: string) => createHash('sha256').update(text).digest('base64url')
const key = (mailbox: Mailbox, uid: Uid) => `${mailbox.name}/${mailbox.uidValidity}/${uid}`
const pick = (below: number) => Math.floor(Math.random() * below)

async function deliver(inbox: Mailbox): Promise<void> {
  const texts: string[] = []
  await using delivery = inbox.deliver()
  for (let count = 1 + pick(10); count > 0; count -= 1) {
    const origin = pick(2) === 0 ? `origin-${pick(400)}` : undefined
    const text = origin ?? `${name} ${process.pid} ${Math.random()} ${'x'.repeat(pick(5) === 0 ? 300_000 : 500)}`
    const sink = delivery.add({ internalDate: 1_700_000_000, ...(origin === undefined ? {} : { origin }) })
    await sink.write(Buffer.from(text))
    await sink.end()
    texts.push(text)
  }
  for (const [index, delivered] of (await delivery.commit()).entries())
    if ('uid' in delivered) tell('delivered', key(inbox, delivered.uid), digestOf(texts[index]!))
}

function look(mailbox: Mailbox): void {
  const { messages } = mailbox
  for (const message of [messages.at(-1), messages.at(pick(messages.length))])
    if (message !== undefined) tell('saw', key(mailbox, message.uid), message.digest, mailbox.highestModSeq)
}

async function step(inbox: Mailbox, archive: Mailbox): Promise<void> {
  const some = Array.from({ length: 5 }, () => inbox.messages.at(pick(inbox.messages.length))?.uid ?? (1 as Uid))
  switch (pick(8)) {
    case 0:
      await inbox.refresh()
      return
    case 1: {
      const flags = [`k${pick(5)}`]
      await inbox.changeFlags({ uids: some, mode: pick(2) === 0 ? 'add' : 'remove', flags })
      return
    }
    case 2:
      for (const uid of some) tell('expunging', key(inbox, uid))
      for (const uid of await inbox.expunge(some, 'client')) tell('expunged', key(inbox, uid))
      return
    case 3:
      for (const [source, target] of (await inbox.copyTo(some.slice(0, 2), archive)).pairs)
        tell('copied', key(inbox, source), key(archive, target))
      return
    default:
      await deliver(inbox)
  }
}

await account.ensure()
await account.create('Archive').catch(() => {})
const inbox = await account.open('INBOX')
const archive = await account.open('Archive')
tell('ready')
for (;;) {
  try {
    await step(inbox, archive)
  } catch (error) {
    // A message that another one expunged can't be copied any more; everything else is a fault.
    if (!(error instanceof Error && 'kind' in error && error.kind === 'expunged')) {
      tell('fault', String(error))
      throw error
    }
  }
  look(inbox)
}
