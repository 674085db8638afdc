import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { type Mark, markField, markKey, readMark } from '#src/delivery/mark.ts'
import { openStore } from '#src/store/store.ts'
import type { Account, MessageRecord, Store } from '#src/store/types.ts'
import { deliverTo } from '#test/support/deliver-to.ts'

const message = 'Subject: hello\r\nFrom: bea@example.org\r\n\r\ntext\r\n'
const userId = 'anna@example.org' as UserId

const testAccount = async (): Promise<{ store: Store; account: Account } & AsyncDisposable> => {
  const root = await mkdtemp(join(tmpdir(), 'delivery-'))
  const store = openStore({ root, clock: systemClock, log: silentLog })
  const account = store.account(userId)
  await account.ensure()
  return {
    store,
    account,
    [Symbol.asyncDispose]: async () => {
      await store.close()
      await rm(root, { recursive: true })
    },
  }
}

const markFor = async (account: Account, changes: Partial<Mark> = {}): Promise<Mark> => {
  await using inbox = await account.open('INBOX')
  return {
    mailboxId: inbox.id,
    origin: 'pop://anna@pop.example.org/u:x1',
    uidl: 'x1',
    internalDate: 1_700_000_000,
    flags: ['\\Seen', '$Label'],
    submittedAt: Math.floor(Date.now() / 1_000),
    ...changes,
  }
}

async function* pieces(text: string, octets = text.length): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += octets) yield Buffer.from(text.slice(at, at + octets), 'latin1')
}

const stored = async (account: Account, mailbox = 'INBOX'): Promise<{ record: MessageRecord; text: string }[]> => {
  await using open = await account.open(mailbox)
  const all: { record: MessageRecord; text: string }[] = []
  for (const record of open.messages) {
    await using content = await open.content(record)
    all.push({ record, text: (await content.read(0, content.sizeOctets)).toString('latin1') })
  }
  return all
}

/** What a mail server makes of it: trace fields before, other folding, LF. */
const travelled = (field: Buffer, text = message): string =>
  `Return-Path: <mssync@example.org>\r\nReceived: from gw (gw [192.0.2.1])\r\n\tby mx.example.org; Tue, 14 Nov 2023 22:13:20 +0000\r\n${field
    .toString('latin1')
    .replace(/\r\n (?=.)/g, '\r\n\t ')}X-Spam-Status: No\r\n${text}`.replaceAll('\r\n', '\n')

const inPlace = (mailbox: string, uid: number) => ({ kind: 'stored', places: [{ mailbox, uid }] })

describe('a message without a mark', () => {
  it('goes into the inbox, with CRLF, however its octets come', async () => {
    await using test = await testAccount()
    for (const octets of [1, 2, 7, 1_000])
      await deliverTo(
        test.store,
        test.account,
        pieces(`From x Tue Nov 14\n${message.replaceAll('\r\n', '\n')}\r`, octets),
      )
    expect((await stored(test.account)).map(({ text }) => text)).toEqual(Array(4).fill(`${message}\r`))
  })

  it('one that has no end of a header, or is empty, too', async () => {
    await using test = await testAccount()
    await deliverTo(test.store, test.account, pieces('Subject: only this'))
    await deliverTo(test.store, test.account, pieces(''))
    expect((await stored(test.account)).map(({ text }) => text)).toEqual(['Subject: only this', ''])
  })
})

describe('GW-23: a message that was submitted comes back', () => {
  it('into the inbox, as a message of its own, where its mailbox is gone', async () => {
    await using test = await testAccount()
    await test.account.create('Work')
    const { mailboxId } = await test.account.status('Work')
    const text = travelled(markField(await markFor(test.account, { mailboxId }), await markKey(test.account)))
    await test.account.remove('Work')
    expect(await deliverTo(test.store, test.account, pieces(text))).toEqual(inPlace('INBOX', 1))
    const [{ record } = { record: undefined }] = await stored(test.account)
    expect(record?.origin).toBeUndefined()
    expect(record?.internalDate).toBe(1_700_000_000)
  })

  it('as what it was fetched as, without its mark, with what the way added', async () => {
    await using test = await testAccount()
    const mark = await markFor(test.account)
    const text = travelled(markField(mark, await markKey(test.account)))
    expect(await deliverTo(test.store, test.account, pieces(text, 50))).toEqual(inPlace('INBOX', 1))
    const [{ record, text: octets } = { record: undefined, text: '' }] = await stored(test.account)
    expect(record).toMatchObject({ origin: mark.origin, uidl: 'x1', internalDate: mark.internalDate })
    expect([...record!.flags].sort()).toEqual(['$Label', '\\Seen'])
    expect(octets).not.toMatch(/Injected/)
    expect(octets).toMatch(/^Return-Path: .*\r\nReceived: [\s\S]*X-Spam-Status: No\r\nSubject: hello\r\n/)
    expect(octets.endsWith(message)).toBe(true)
  })

  it('once, also when it was submitted twice, and when a client has deleted it by then', async () => {
    await using test = await testAccount()
    const key = await markKey(test.account)
    const text = travelled(markField(await markFor(test.account), key))
    await deliverTo(test.store, test.account, pieces(text))
    const again = travelled(markField(await markFor(test.account), key), message.replace('hello', '[SPAM] hello'))
    expect(await deliverTo(test.store, test.account, pieces(again))).toEqual({ kind: 'duplicate', mailbox: 'INBOX' })
    await using inbox = await test.account.open('INBOX')
    await inbox.expunge([inbox.messages.at(0)!.uid], 'client')
    expect(await deliverTo(test.store, test.account, pieces(again))).toEqual({ kind: 'duplicate', mailbox: 'INBOX' })
    expect(inbox.byOrigin('pop://anna@pop.example.org/u:x1')).toMatchObject({ present: false, cause: 'client' })
  })

  it('QUO-06: is not refused when the user is over quota, as what is fetched is not; a message without a mark is', async () => {
    await using test = await testAccount()
    const full = { adding: () => Promise.reject(new StoreError('over-quota', 'full')) }
    const text = travelled(markField(await markFor(test.account), await markKey(test.account)))
    expect(await deliverTo(test.store, test.account, pieces(message), full)).toMatchObject({
      kind: 'failed',
      reply: 452,
    })
    expect(await deliverTo(test.store, test.account, pieces(text), full)).toEqual(inPlace('INBOX', 1))
  })

  it('weeks later it is one that somebody sent on: another message', async () => {
    await using test = await testAccount()
    const text = travelled(markField(await markFor(test.account), await markKey(test.account)))
    await deliverTo(test.store, test.account, pieces(text))
    const later: Clock = { ...systemClock, now: () => Date.now() + 30 * 86_400_000 }
    expect(await deliverTo(test.store, test.account, pieces(text), { clock: later })).toEqual(inPlace('INBOX', 2))
    expect((await stored(test.account)).map(({ record }) => record.origin)).toEqual([
      'pop://anna@pop.example.org/u:x1',
      undefined,
    ])
  })

  it('into the mailbox that it was fetched for, under its name of now; into the inbox when that is gone', async () => {
    await using test = await testAccount()
    await test.account.create('Old')
    const { mailboxId } = await test.account.status('Old')
    const key = await markKey(test.account)
    await test.account.rename('Old', 'New')
    const first = travelled(markField(await markFor(test.account, { mailboxId }), key))
    expect(await deliverTo(test.store, test.account, pieces(first))).toEqual(inPlace('New', 1))
    await test.account.remove('New')
    const second = travelled(markField(await markFor(test.account, { mailboxId, origin: 'pop://a/u:2' }), key))
    expect(await deliverTo(test.store, test.account, pieces(second))).toEqual(inPlace('INBOX', 1))
  })

  it("with somebody else's mark, or one that was changed, it is an ordinary message", async () => {
    await using test = await testAccount()
    await using other = await testAccount()
    const mark = await markFor(test.account)
    const right = markField(mark, await markKey(test.account)).toString()
    const foreign = markField(mark, await markKey(other.account)).toString()
    const changed = right.replace(/ (.)/, (_, letter) => ` ${letter === 'A' ? 'B' : 'A'}`)
    for (const field of [foreign, changed, 'X-Wherry-Injected: \r\n', 'X-Wherry-Injected: a.b.c\r\n'])
      await deliverTo(test.store, test.account, pieces(field + message))
    expect((await stored(test.account)).map(({ record }) => record.origin)).toEqual(Array(4).fill(undefined))
    const key = await markKey(test.account)
    const after = readMark(Buffer.from(`${foreign}${changed}${right}${message}`), key)
    expect(after?.mark).toEqual(mark)
    expect(after?.rest.toString()).toBe(foreign + changed + message)
  })
})
