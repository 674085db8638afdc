import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { observe } from '../../../../gateway/sync/imap/observe.ts'
import { type RunningImapd, startImapd } from '../../../imapd/support.ts'
import { type Dovecot, startDovecot } from '../../../support/dovecot.ts'
import { clientOf } from './support.ts'

const user = 'anna@example.org'

let dovecot: Dovecot
let imapd: RunningImapd
beforeAll(async () => {
  dovecot = await startDovecot({ users: { [user]: 'secret' }, protocols: ['imap'] })
  imapd = await startImapd([user])
})
afterAll(async () => {
  await dovecot.stop()
  await imapd.stop()
})

type Name = 'Dovecot' | 'Wherry'
const client = (server: Name, ...without: string[]) =>
  clientOf({ imapPort: server === 'Dovecot' ? dovecot.imapPort : imapd.port }, { user, without })

const uids = (...values: number[]) => values as Uid[]
const known = (...values: number[]) => new Set(uids(...values))

describe.each<[server: Name, name: string, without: string[]]>([
  ['Dovecot', 'QRESYNC', []],
  ['Dovecot', 'CONDSTORE alone', ['QRESYNC']],
  ['Dovecot', 'neither', ['QRESYNC', 'CONDSTORE']],
  // Which may be somebody's backend as well.
  ['Wherry', 'QRESYNC', []],
])('a mailbox of %s with %s', (server, name, without) => {
  it('is told as what is there, and then as what became of it', async () => {
    const other = await client(server)
    const path = `box ${name}`
    await other.mailboxCreate(path)
    const put = (subject: string, ...flags: string[]) => other.append(path, `Subject: ${subject}\r\n\r\n`, flags)
    for (const subject of ['a', 'b', 'c', 'd']) await put(subject)

    const ours = await client(server, ...without)
    const first = await observe(ours, path, undefined, known())
    expect(first.there).toMatchObject({
      complete: true,
      exists: 4,
      vanished: [],
      readOnly: false,
      permanent: undefined,
    })
    expect([...first.there.flags.keys()]).toEqual([1, 2, 3, 4])

    await put('e', '\\Seen', '$Work')
    await other.mailboxOpen(path)
    await other.messageFlagsAdd('2', ['\\Flagged'], { uid: true })
    await other.messageDelete('3', { uid: true })

    const second = await observe(ours, path, first.mark, known(1, 2, 3, 4))
    expect(second.there.complete).toBe(true)
    expect(second.there.vanished).toEqual([3])
    expect(second.there.exists).toBe(4)
    expect([...second.there.flags.get(2 as Uid)!]).toEqual(['\\Flagged'])
    expect([...second.there.flags.get(5 as Uid)!].sort()).toEqual(['$Work', '\\Seen'])
    // With CONDSTORE nothing is said of what did not change.
    expect(second.there.flags.has(1 as Uid)).toBe(without.includes('CONDSTORE'))

    const third = await observe(ours, path, second.mark, known(1, 2, 4, 5))
    expect(third.there.vanished).toEqual([])
    expect(third.there.complete).toBe(true)
    if (!without.includes('CONDSTORE')) expect(third.there.flags.size).toBe(0)
    await Promise.all([ours.logout(), other.logout()])
  })
})

it('says that a mailbox is gone', async () => {
  const ours = await client('Dovecot')
  await expect(observe(ours, 'nowhere', undefined, known())).rejects.toMatchObject({ kind: 'temporary' })
  await ours.logout()
})
