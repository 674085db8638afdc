import type { ImapFlow } from 'imapflow'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { deleteMessages, storeFlags, upload } from '../../../../gateway/sync/imap/remote.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { clientOf } from './support.ts'

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
})
afterAll(() => dovecot.stop())

const client = (...without: string[]) => clientOf(dovecot, { without })

let boxes = 0
async function box(control: ImapFlow, messages: number): Promise<string> {
  const path = `box${boxes++}`
  await control.mailboxCreate(path)
  for (let at = 0; at < messages; at += 1) await control.append(path, `Subject: ${at}\r\n\r\n`)
  await control.mailboxOpen(path)
  return path
}
const uids = (...values: number[]) => values as Uid[]

/** As another client sees it. */
async function state(path: string): Promise<Record<number, string>> {
  const other = await client()
  await other.mailboxOpen(path)
  const found: Record<number, string> = {}
  for await (const { uid, flags } of other.fetch('1:*', { uid: true, flags: true }))
    found[uid] = [...flags!]
      .filter((flag) => flag !== '\\Recent')
      .sort()
      .join(' ')
  await other.logout()
  return found
}

describe('at a real IMAP server', () => {
  it('flags are added, removed and set', async () => {
    const control = await client()
    const path = await box(control, 3)
    await storeFlags(control, [
      { uid: uids(1)[0]!, add: ['\\Seen', '$Work'], remove: [] },
      { uid: uids(2)[0]!, add: ['$Work', '\\Seen'], remove: [] },
      { uid: uids(3)[0]!, set: ['\\Flagged'] },
    ])
    await storeFlags(control, [
      { uid: uids(2)[0]!, add: ['\\Answered'], remove: ['\\Seen'] },
      { uid: uids(3)[0]!, set: [] },
    ])
    expect(await state(path)).toEqual({ 1: '$Work \\Seen', 2: '$Work \\Answered', 3: '' })
    await control.logout()
  })

  it('messages are deleted, and no others', async () => {
    const control = await client()
    const path = await box(control, 3)
    await storeFlags(control, [{ uid: uids(3)[0]!, add: ['\\Deleted'], remove: [] }])
    expect(await deleteMessages(control, uids(1))).toEqual([1])
    expect(await state(path)).toEqual({ 2: '', 3: '\\Deleted' })
    await control.logout()
  })

  it('without UIDPLUS nothing is expunged while others have marked messages', async () => {
    const control = await client('UIDPLUS', 'IMAP4REV2')
    const path = await box(control, 3)
    await storeFlags(control, [{ uid: uids(3)[0]!, add: ['\\Deleted'], remove: [] }])
    expect(await deleteMessages(control, uids(1))).toEqual([])
    expect(await state(path)).toEqual({ 1: '\\Deleted', 2: '', 3: '\\Deleted' })
    await storeFlags(control, [{ uid: uids(3)[0]!, add: [], remove: ['\\Deleted'] }])
    expect(await deleteMessages(control, uids(1))).toEqual([1])
    // The session goes on behind the EXPUNGE.
    expect(await control.status(path, { messages: true })).toMatchObject({ messages: 2 })
    expect(await state(path)).toEqual({ 2: '', 3: '' })
    await control.logout()
  })

  it('a message arrives octet for octet, with flags and date', async () => {
    const control = await client()
    const path = await box(control, 0)
    const octets = Buffer.from('Subject: \xe9\r\n\r\n8-bit \xff\r\n', 'latin1')
    const put = await upload(control, path, octets, ['\\Seen', '$Forwarded'], 1_700_000_000)
    expect(put?.uid).toBe(1)
    await control.mailboxOpen(path)
    const found = await control.fetchOne('1', { source: true, flags: true, internalDate: true })
    if (found === false) throw new Error('not there')
    expect(found.source!.equals(octets)).toBe(true)
    expect([...found.flags!].filter((flag) => flag !== '\\Recent').sort()).toEqual(['$Forwarded', '\\Seen'])
    expect(new Date(found.internalDate!).getTime()).toBe(1_700_000_000_000)
    await control.logout()
  })
})
