import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { fetchBodies, internalDate, type MessageFacts } from '../../../../gateway/backend/imap/bulk.ts'
import { controlOf } from '../../../../gateway/backend/imap/control.ts'
import { openImap } from '../../../../gateway/backend/imap/open.ts'
import { BackendProfile } from '../../../../gateway/backend/profile.ts'
import type { BodySink } from '../../../../gateway/backend/types.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { sampleMessages } from '../../../support/messages.ts'

const digestOf = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')

function logIn(dovecot: Dovecot) {
  return openImap({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    implicitTls: false,
    startTls: 'offered',
    tlsVerify: false,
    credentials: { user: 'anna', secret: Buffer.from('secret') },
    profile: new BackendProfile(),
    log: silentLog,
  })
}

async function openInbox(dovecot: Dovecot) {
  const { connection } = await logIn(dovecot)
  expect((await connection.run({ words: ['SELECT INBOX'] })).condition).toBe('OK')
  return connection
}

function collector() {
  const messages = new Map<Uid, { facts: MessageFacts; octets: Buffer }>()
  const open = (facts: MessageFacts): BodySink => {
    const chunks: Buffer[] = []
    return {
      write: (chunk) => void chunks.push(Buffer.from(chunk)),
      end: () => void messages.set(facts.uid, { facts, octets: Buffer.concat(chunks) }),
      abort: () => {},
    }
  }
  return { messages, open }
}

describe('fetching in bulk from a real IMAP server', () => {
  it('gives every message octet for octet as imapflow does, whatever the size of the sets', async () => {
    await using dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('anna', sampleMessages(60))
    const client = await controlOf(await logIn(dovecot), silentLog)
    await client.mailboxOpen('INBOX')
    const expected = new Map<number, string>()
    for await (const { uid, source } of client.fetch('1:*', { uid: true, source: true }))
      expected.set(uid, digestOf(source!))
    await client.logout()
    expect(expected.size).toBe(60)
    for (const setSize of [1, 7, 100]) {
      const connection = await openInbox(dovecot)
      const { messages, open } = collector()
      const refused = (uid: Uid, error: Error) => expect.fail(`${uid}: ${error.message}`)
      await fetchBodies(connection, { uids: [...expected.keys()] as Uid[], setSize, open, refused })
      expect(new Map(Array.from(messages, ([uid, { octets }]) => [uid, digestOf(octets)]))).toEqual(expected)
      connection.close()
    }
  })

  it('tells flags and date, and refuses what is gone', async () => {
    await using dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('anna', [Buffer.from('Subject: one\r\n\r\n')])
    const connection = await openInbox(dovecot)
    const octets = 'Subject: two\r\n\r\nx\r\n'
    const append = ['APPEND INBOX (\\Seen $Forwarded) "17-Jul-1996 02:44:25 -0700" ', Buffer.from(octets)]
    expect((await connection.run({ words: append })).condition).toBe('OK')
    const refused: number[] = []
    const { messages, open } = collector()
    await fetchBodies(connection, { uids: [1, 2, 9] as Uid[], setSize: 3, open, refused: (uid) => refused.push(uid) })
    expect([...messages.keys()]).toEqual([1, 2])
    const { facts } = messages.get(2 as Uid)!
    expect([...facts.flags].sort()).toEqual(['$Forwarded', '\\Seen'])
    expect(facts.internalDate).toBe(Date.UTC(1996, 6, 17, 9, 44, 25) / 1000)
    expect(refused).toEqual([9])
    connection.close()
  })

  it('holds the server back while a sink is busy', async () => {
    await using dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
    await dovecot.fill('anna', [Buffer.from(`Subject: large\r\n\r\n${'x'.repeat(70)}\r\n`.repeat(200_000))])
    const connection = await openInbox(dovecot)
    let octets = 0
    let most = 0
    let busy = 0
    await fetchBodies(connection, {
      uids: [1 as Uid],
      setSize: 100,
      open: () => ({
        write: async (chunk) => {
          busy += 1
          most = Math.max(most, busy)
          octets += chunk.length
          await new Promise((resolve) => setImmediate(resolve))
          busy -= 1
        },
        end: () => {},
        abort: () => {},
      }),
      refused: () => expect.fail('refused'),
    })
    expect(octets).toBeGreaterThan(14_000_000)
    expect(most).toBe(1)
    connection.close()
  })
})

describe('INTERNALDATE', () => {
  it.each([
    ['17-Jul-1996 02:44:25 -0700', Date.UTC(1996, 6, 17, 9, 44, 25) / 1000],
    [' 1-Jan-2026 00:00:00 +0130', Date.UTC(2025, 11, 31, 22, 30, 0) / 1000],
    ['31-Foo-2026 00:00:00 +0000', undefined],
    ['', undefined],
  ])('%s', (text, seconds) => expect(internalDate(text)).toBe(seconds))
})
