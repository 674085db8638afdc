/**
 * What a real server with lists answers: Dovecot with its acl plugin, asked the same as imapd. Names and the owner's own rights are ours: a right that
 * Dovecot has and we don't give is `a` for others (ACL-03).
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [alice, bob] = ['alice@example.org', 'bob@example.org'] as const
const message = '{17+}\r\nSubject: x\r\n\r\nx\r\n'

let dovecot: Dovecot
let imapd: RunningImapd
const peers: Peer[] = []
/** By server: the owner and the other one. */
const clients: Record<'wherry' | 'dovecot', readonly Peer[]> = { wherry: [], dovecot: [] }

beforeAll(async () => {
  dovecot = await startDovecot({
    users: { [alice]: 'secret', [bob]: 'secret' },
    protocols: ['imap'],
    extra: `mail_plugins = acl
protocol imap {
  mail_plugins = acl imap_acl
}
plugin {
  acl = vfile
}
namespace others {
  type = shared
  prefix = Other Users/%%u/
  separator = /
  location = maildir:%%h/Maildir
  subscriptions = no
  list = children
}`,
  })
  imapd = await startImapd([alice, bob], { domain: 'example.org' })
  for (const [name, port] of [
    ['wherry', imapd.port],
    ['dovecot', dovecot.imapPort],
  ] as const)
    clients[name] = await Promise.all([bob, alice].map((user) => enter(port, user)))
})
afterAll(async () => {
  for (const peer of peers) peer.destroy()
  await imapd.stop()
  await dovecot.stop()
})

async function enter(port: number, user: string): Promise<Peer> {
  const peer = await Peer.open({ host: '127.0.0.1', port })
  peers.push(peer)
  await peer.line()
  await peer.command('login', `LOGIN ${user} secret`)
  return peer
}

/** The answer of each, with tagged replies cut to OK, NO or BAD, and letters of rights in one order. */
async function both(who: 0 | 1, command: string): Promise<Record<'wherry' | 'dovecot', readonly string[]>> {
  const answers = { wherry: [] as readonly string[], dovecot: [] as readonly string[] }
  for (const name of ['wherry', 'dovecot'] as const) {
    const lines = await clients[name][who]!.command('x', command)
    answers[name] = lines
      .map((line) => line.replace(/^x (OK|NO|BAD).*/, '$1').replaceAll('"', ''))
      .filter((line) => /^(OK|NO|BAD|\* (ACL|MYRIGHTS|LISTRIGHTS|LIST) )/.test(line))
      .map((line) => line.replace(/(?<= )[lrswipkxteacd]{2,}(?= |$)/g, (letters) => [...letters].sort().join('')))
  }
  return answers
}

/** Entries of `* ACL`, since servers have orders of their own. */
const entries = (line: string) => {
  const words = line.split(' ').slice(3)
  return Object.fromEntries(words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1]]] : [])))
}

test.for([
  ['lr'],
  ['lrs'],
  ['lrswite'],
  ['lrswipkxte'],
  ['lrwsd'],
  ['lrc'],
  ['lrk'],
  ['lrx'],
  ['lrt'],
  ['lre'],
  ['lrcd'],
] as const)('SETACL %s, GETACL and MYRIGHTS', async ([rights]) => {
  await both(0, `CREATE "set ${rights}"`)
  expect(await both(0, `SETACL "set ${rights}" ${alice} ${rights}`)).toEqual({ wherry: ['OK'], dovecot: ['OK'] })
  const list = await both(0, `GETACL "set ${rights}"`)
  const [ours, theirs] = [list.wherry, list.dovecot].map(([line]) =>
    entries(line!.replace(`"set ${rights}"`, 'x').replace(`set ${rights}`, 'x')),
  )
  expect(ours![alice]).toBe(theirs![alice])
  expect(ours![bob]).toBe(theirs![bob])
  const mine = await both(1, `MYRIGHTS "Other Users/${bob}/set ${rights}"`)
  expect(mine.wherry).toEqual(mine.dovecot)
})

test('SETACL adds and takes rights', async () => {
  await both(0, 'CREATE changed')
  for (const change of ['lrs', '+wi', '-s', '-d', '+d', '+c', '-k', '-w']) {
    await both(0, `SETACL changed ${alice} ${change}`)
    // Told to the owner: the other one's session at Dovecot may take a change within a second for none.
    const list = await both(0, 'GETACL changed')
    expect(entries(list.wherry[0]!)[alice], change).toBe(entries(list.dovecot[0]!)[alice])
    expect(entries(list.wherry[0]!)[alice], change).toBeDefined()
  }
  await both(0, `DELETEACL changed ${alice}`)
  expect(await both(1, `MYRIGHTS "Other Users/${bob}/changed"`)).toEqual({ wherry: ['NO'], dovecot: ['NO'] })
})

test('LISTRIGHTS: each right by itself', async () => {
  const { wherry, dovecot } = await both(0, `LISTRIGHTS INBOX ${alice}`)
  // Dovecot can give a as well, and has l r k x t e as the rights that it names first.
  const letters = (lines: readonly string[]) =>
    lines[0]!
      .replace(/^\* LISTRIGHTS \S+ \S+ /, '')
      .split(' ')
      .filter((letter) => letter !== '' && letter !== 'a')
      .sort()
  expect(letters(wherry)).toEqual(letters(dovecot))
})

// Not LISTRIGHTS: Dovecot answers it to whoever sees the mailbox, RFC 4314 §4 wants a for it.
test.for([
  ['SELECT', (box: string) => `SELECT "${box}"`],
  ['STATUS', (box: string) => `STATUS "${box}" (MESSAGES)`],
  ['APPEND', (box: string) => `APPEND "${box}" ${message}`],
  ['CREATE', (box: string) => `CREATE "${box}/new"`],
  ['DELETE', (box: string) => `DELETE "${box}"`],
  ['GETACL', (box: string) => `GETACL "${box}"`],
  ['SETACL', (box: string) => `SETACL "${box}" ${alice} lr`],
  ['MYRIGHTS', (box: string) => `MYRIGHTS "${box}"`],
] as const)('%s is granted and refused with the same rights', async ([verb, command]) => {
  for (const rights of ['', 'l', 'lr', 'li', 'lk', 'lx', 'lrswipkte', 'lrswipxte', 'lrswpkxte', 'lswipkxte']) {
    const box = `${verb} ${rights || 'none'}`
    await both(0, `CREATE "${box}"`)
    if (rights !== '') await both(0, `SETACL "${box}" ${alice} ${rights}`)
    const { wherry, dovecot } = await both(1, command(`Other Users/${bob}/${box}`))
    expect(wherry.at(-1), rights).toBe(dovecot.at(-1))
  }
})
