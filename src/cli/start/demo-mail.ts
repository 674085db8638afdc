/** The demonstration provider's one user and mail. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../base/clock.ts'
import type { UserId } from '../../base/ids.ts'
import { silentLog } from '../../base/log.ts'
import { openStore } from '../../store/store.ts'

export const demoUser = 'demo'
export const demoPassword = 'demo'
const demoUserId = 'demo@provider.example' as UserId

/** The messages that the provider holds at the start, lines ending in CRLF. */
export function sampleMessages(): Buffer[] {
  const directory = join(import.meta.dirname, 'samples')
  return readdirSync(directory)
    .sort()
    .map((name) => Buffer.from(readFileSync(join(directory, name), 'latin1').replace(/\r?\n/g, '\r\n'), 'latin1'))
}

/** A message as it would arrive now. */
export function newMessage(clock: Clock): Buffer {
  const now = new Date(clock.now())
  const date = now.toUTCString().replace('GMT', '+0000')
  const lines = [
    'Return-Path: <pilot@harbour.example>',
    `Received: from harbour.example by pop.provider.example; ${date}`,
    `Date: ${date}`,
    'From: The pilot <pilot@harbour.example>',
    'To: Demo <demo@provider.example>',
    `Subject: A ferry arrived at ${now.toISOString().slice(11, 19)}`,
    `Message-ID: <${clock.now()}.${process.pid}@harbour.example>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    'This message came to the POP-only provider a moment ago.',
    '',
  ]
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

/** Puts messages into the provider's maildrop, durable when it resolves. The provider may be running: mdir needs no owner. */
export async function deliverToProvider(userDirectory: string, messages: readonly Buffer[]): Promise<void> {
  await using store = openStore({ root: userDirectory, clock: systemClock, log: silentLog })
  const account = store.account(demoUserId)
  await account.ensure()
  await using inbox = await account.open('INBOX')
  await using delivery = inbox.deliver()
  for (const message of messages) {
    const sink = delivery.add({ internalDate: Math.floor(systemClock.now() / 1000) })
    await sink.write(message)
    await sink.end()
  }
  await delivery.commit()
}

/** Whether the provider's maildrop was made before. */
export async function isProviderFilled(userDirectory: string): Promise<boolean> {
  await using store = openStore({ root: userDirectory, clock: systemClock, log: silentLog })
  return await store.account(demoUserId).exists()
}
