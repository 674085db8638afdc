/** imapd and Dovecot with the same messages of one user, each in processes of its own, as an operator runs them. */
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { treeCpuMs } from '#test/support/cpu.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { startWherry, type WherryOptions } from '#test/support/wherry.ts'

export const user = 'anna@example.org'
export const password = 'secret'

export interface ImapServer {
  readonly name: 'wherry' | 'dovecot'
  readonly port: number
  /** Of all its processes so far. */
  cpuMs(): number
}

export interface ImapPair extends AsyncDisposable {
  /** Wherry first. */
  readonly servers: readonly [ImapServer, ImapServer]
}

/** A commit of the store. */
const messagesAtOnce = 500

/** `messages` is called for each of the two. */
export async function startPair(
  messages: () => Iterable<Buffer>,
  options: WherryOptions['options'] = {},
): Promise<ImapPair> {
  const wherry = await startWherry({
    services: ['mseventd', 'imapd'],
    options: { gateway_mode: false, failed_logins_per_minute: 0, ...options },
  })
  await openAccounts(`${wherry.directory}/accounts`).add({
    userId: user as UserId,
    state: 'enabled',
    verifiers: makeVerifiers(Buffer.from(password)),
    services: {},
    properties: [],
  })
  await fillInbox(wherry.userDirectory, messages())
  const dovecot = await startDovecot({ users: { [user]: password }, protocols: ['imap'] })
  await dovecot.fill(user, messages())
  return {
    servers: [
      { name: 'wherry', port: wherry.imapPort, cpuMs: () => treeCpuMs(wherry.pid) },
      { name: 'dovecot', port: dovecot.imapPort, cpuMs: () => treeCpuMs(dovecot.pid) },
    ],
    async [Symbol.asyncDispose]() {
      await dovecot.stop()
      await wherry.stop()
    },
  }
}

async function fillInbox(root: string, messages: Iterable<Buffer>): Promise<void> {
  await using store = openStore({ root, clock: systemClock, log: silentLog })
  const account = store.account(user as UserId)
  await account.ensure()
  await using inbox = await account.open('INBOX')
  let delivery = inbox.deliver()
  let held = 0
  for (const octets of messages) {
    const sink = delivery.add({ internalDate: 1_700_000_000 + held })
    await sink.write(octets)
    await sink.end()
    if (++held % messagesAtOnce !== 0) continue
    await delivery.commit()
    delivery = inbox.deliver()
  }
  await delivery.commit()
}
