/** Messages through lmtpd and back through imapd. */
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { configOf } from '#src/config/config.ts'
import { imapd } from '#src/imapd/main.ts'
import { MemoryBus } from '../imapd/support.ts'
import { Peer } from '../imapd/transcript.ts'
import type { NamedMessage } from '../support/messages.ts'
import { password, startLmtpd, withoutTrace } from './support.ts'
import { LmtpClient, stuffed } from './transcript.ts'

const user = 'anna@example.org'

/** Half of them by DATA, half by BDAT. Names of messages whose octets are others than before; DATA ends lines with CR LF, and so does what it is compared with. */
export async function changedByTheWay(messages: readonly NamedMessage[]): Promise<readonly string[]> {
  await using lmtpd = await startLmtpd([user])
  const client = await LmtpClient.greeted(lmtpd.unix)
  /** Without those that the store has already: the same octets are a retry. */
  const kept: { readonly name: string; readonly octets: Buffer; readonly isByData: boolean }[] = []
  for (const [index, { name, octets }] of messages.entries()) {
    await client.say('MAIL FROM:<> BODY=BINARYMIME'.slice(0, isByData(index) ? 12 : undefined))
    await client.say(`RCPT TO:<${user}>`)
    if (isByData(index)) {
      await client.say('DATA')
      await client.send(Buffer.from(stuffed(octets.toString('latin1')), 'latin1'))
    } else await client.send(Buffer.concat([Buffer.from(`BDAT ${octets.length} LAST\r\n`), octets]))
    const reply = await client.reply()
    if (!reply.startsWith('250 ')) throw new Error(`${name}: ${reply}`)
    if (!reply.endsWith('delivered before')) kept.push({ name, octets, isByData: isByData(index) })
  }
  client.destroy()
  const runtime = {
    config: configOf({
      imap_host: '127.0.0.1',
      imap_port: 0,
      login_disabled: false,
      userdir: `${lmtpd.root}/user`,
      account_db: `${lmtpd.root}/accounts`,
      run_dir: lmtpd.root,
    }),
    log: silentLog,
    clock: systemClock,
    events: new MemoryBus(),
    firstWorker: true,
    sharedPorts: false,
  }
  const daemon = await imapd.start(runtime)
  try {
    const at = daemon.addresses![0]!.at
    const peer = await Peer.open('port' in at ? at : { host: '', port: 0 })
    await peer.command('a', `LOGIN ${user} ${password}`)
    await peer.command('b', 'SELECT INBOX')
    const inStore = await lmtpd.stored(user)
    const changed: string[] = []
    for (const [index, { name, octets, isByData }] of kept.entries()) {
      // IMAP has no NUL in BODY[] (RFC 9051 §4.3.1), and this client takes what looks like a literal for one.
      const isFetched = !octets.includes(0) && !/\{\d+\}\r\n/.test(octets.toString('latin1'))
      const lines = isFetched ? await peer.command('c', `FETCH ${index + 1} BODY.PEEK[]`) : []
      const fetched = lines.find((line) => line.includes('BODY[]')) ?? ''
      const text = isFetched ? (/\{\d+\}\r\n([\s\S]*)\)$/.exec(fetched)?.[1] ?? '') : inStore[index]!.toString('latin1')
      const sent = octets.toString('latin1')
      const meant = isByData && !sent.endsWith('\r\n') ? `${sent}\r\n` : sent
      if (text === '' || withoutTrace(Buffer.from(text, 'latin1')) !== meant) changed.push(name)
    }
    peer.destroy()
    return changed
  } finally {
    await daemon.stop(1_000)
  }
}

const isByData = (index: number): boolean => index % 2 === 0

if (import.meta.main) {
  const { corpusMessages, fixtureMessages, sampleMessages } = await import('../support/messages.ts')
  const made = sampleMessages(200).map((octets, index) => ({ name: `sample ${index}`, octets }))
  const messages = [...fixtureMessages(), ...made, ...corpusMessages()]
  const changed = await changedByTheWay(messages)
  for (const name of changed) console.log(`changed: ${name}`)
  console.log(`${messages.length} messages, ${changed.length} changed`)
  process.exitCode = changed.length === 0 ? 0 : 1
}
