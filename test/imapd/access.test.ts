/** Every verb against every kind of mailbox, with and without each right: denied, the same for existing and not. RFC 4314 §4 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [alice, bob] = ['alice@example.org', 'bob@example.org']
const others = `Other Users/${bob}`
const message = '{17+}\r\nSubject: x\r\n\r\nx\r\n'

let imapd: RunningImapd
let owner: Peer
let user: Peer
const sessions: Peer[] = []
let count = 0

beforeAll(async () => {
  imapd = await startImapd([alice, bob], {
    shared_root: ['none', 'read', 'write', 'manage', 'all'].map((word) => ({
      name: `Root ${word}`,
      path: word,
      email: undefined,
      access: [
        { kind: 'user' as const, name: alice, access: [word] },
        { kind: 'user' as const, name: bob, access: ['all'] },
      ],
    })),
  })
  owner = await enter(bob)
  user = await enter(alice)
  await answer(user, 'CREATE mine')
  await answer(user, `APPEND mine (\\Seen \\Deleted \\Flagged) ${message}`)
})
afterAll(async () => {
  for (const session of sessions) session.destroy()
  await imapd.stop()
})

async function enter(name: string): Promise<Peer> {
  const peer = await Peer.open(imapd)
  sessions.push(peer)
  await peer.line()
  await peer.command('login', `LOGIN ${name} secret`)
  return peer
}

/** The tagged reply without its tag. */
async function answer(peer: Peer, command: string): Promise<string> {
  const lines = await peer.command('x', command)
  return lines.at(-1)!.slice(2)
}

async function lines(peer: Peer, command: string): Promise<readonly string[]> {
  return (await peer.command('x', command)).slice(0, -1)
}

/** A mailbox of the owner with a message in it; answers its own name. */
async function made(rights: string): Promise<string> {
  const name = `box${++count}`
  expect(await answer(owner, `CREATE ${name}`)).toMatch(/^OK/)
  expect(await answer(owner, `APPEND ${name} (\\Deleted) ${message}`)).toMatch(/^OK/)
  if (rights !== '') expect(await answer(owner, `SETACL ${name} ${alice} ${rights}`)).toMatch(/^OK/)
  return name
}

interface Verb {
  readonly name: string
  /** Right that it needs; undefined: any. */
  readonly needs: string
  /** Given in the selected state of the own mailbox. */
  readonly selected?: true
  readonly command: (mailbox: string) => string
}

const verbs: readonly Verb[] = [
  { name: 'SELECT', needs: 'r', command: (box) => `SELECT "${box}"` },
  { name: 'EXAMINE', needs: 'r', command: (box) => `EXAMINE "${box}"` },
  { name: 'STATUS', needs: 'r', command: (box) => `STATUS "${box}" (MESSAGES)` },
  { name: 'GETQUOTAROOT', needs: 'r', command: (box) => `GETQUOTAROOT "${box}"` },
  { name: 'APPEND', needs: 'i', command: (box) => `APPEND "${box}" ${message}` },
  { name: 'COPY', needs: 'i', selected: true, command: (box) => `COPY 1 "${box}"` },
  { name: 'UID COPY', needs: 'i', selected: true, command: (box) => `UID COPY 1:* "${box}"` },
  { name: 'MOVE', needs: 'i', selected: true, command: (box) => `MOVE 1 "${box}"` },
  { name: 'DELETE', needs: 'x', command: (box) => `DELETE "${box}"` },
  { name: 'GETACL', needs: 'a', command: (box) => `GETACL "${box}"` },
  { name: 'SETACL', needs: 'a', command: (box) => `SETACL "${box}" ${alice} lrswi` },
  { name: 'DELETEACL', needs: 'a', command: (box) => `DELETEACL "${box}" ${alice}` },
  { name: 'LISTRIGHTS', needs: 'a', command: (box) => `LISTRIGHTS "${box}" ${alice}` },
  { name: 'RENAME', needs: 'x', command: (box) => `RENAME "${box}" "${others}/elsewhere"` },
  { name: 'MYRIGHTS', needs: '', command: (box) => `MYRIGHTS "${box}"` },
]
const every = 'lrswipkxte'

test.for(verbs)('ACL-01: $name on a mailbox of another user', async ({ name, needs, selected, command }) => {
  const run = async (box: string) => {
    if (selected !== undefined) {
      await answer(user, `APPEND mine ${message}`)
      await answer(user, 'SELECT mine')
    }
    return await answer(user, command(box))
  }
  const missing = await run(`${others}/missing`)
  expect(missing).toMatch(/^NO \[NONEXISTENT\]/)
  // Not there, without its owner, without rights, and without l: one answer.
  expect(await run('Other Users/nobody@example.org/box')).toBe(missing)
  const hidden = await made('')
  expect(await run(`${others}/${hidden}`)).toBe(missing)
  const other = await made('')
  await answer(owner, `SETACL ${other} bob2@example.org lrswi`)
  expect(await run(`${others}/${other}`)).toBe(missing)
  const taken = await made(every)
  await answer(owner, `SETACL ${taken} -${alice} l`)
  expect(await run(`${others}/${taken}`)).toBe(missing)
  if (needs !== '') {
    const box = await made(every.replace(needs, ''))
    expect(await run(`${others}/${box}`)).toMatch(/^NO \[NOPERM\]/)
  }
  if (needs !== 'a' && name !== 'RENAME') {
    const box = await made(`l${needs}`)
    expect(await run(`${others}/${box}`)).toMatch(/^OK/)
  }
})

test.for(verbs)('SHR-06: $name on a shared folder', async ({ name, needs, selected, command }) => {
  const rights = { none: '', read: 'lr', write: 'lswite', manage: 'lkx', all: every }
  const run = async (box: string) => {
    if (selected !== undefined) {
      await answer(user, `APPEND mine ${message}`)
      await answer(user, 'SELECT mine')
    }
    return await answer(user, command(box))
  }
  const missing = await run('Shared Folders/No root/box')
  expect(missing).toMatch(/^NO \[NONEXISTENT\]/)
  expect(await run('Shared Folders/Root none')).toBe(missing)
  for (const [word, letters] of Object.entries(rights)) {
    const box = `Shared Folders/Root ${word}/box${++count}`
    expect(await answer(owner, `CREATE "${box}"`)).toMatch(/^OK/)
    if (letters === '') expect(await run(box), word).toBe(missing)
    else if (needs !== '' && !letters.includes(needs)) expect(await run(box), word).toMatch(/^NO \[NOPERM\]/)
    else if (name !== 'RENAME') expect(await run(box), word).toMatch(/^OK/)
  }
})

test('RFC 4314 §4: CREATE needs k on the nearest mailbox above', async () => {
  const denied = await answer(user, `CREATE "${others}/box/new"`)
  expect(denied).toMatch(/^NO \[NOPERM\]/)
  const boxes = [await made(''), await made(every.replace('k', ''))]
  for (const box of boxes) expect(await answer(user, `CREATE "${others}/${box}/new"`)).toBe(denied)
  for (const name of [
    `${others}/new`,
    others,
    'Other Users',
    'Other Users/nobody@example.org/a/b',
    'Shared Folders/new',
    'Shared Folders/Root read/new',
  ])
    expect(await answer(user, `CREATE "${name}"`), name).toBe(denied)
  // Nor does it help to know that there is one.
  await answer(owner, `CREATE ${boxes[0]}/new`)
  expect(await answer(user, `CREATE "${others}/${boxes[0]}/new"`)).toBe(denied)
  const box = await made('lk')
  expect(await answer(user, `CREATE "${others}/${box}/a/b"`)).toMatch(/^OK/)
  expect(await answer(user, `CREATE "${others}/${box}/a/b"`)).toMatch(/^NO \[ALREADYEXISTS\]/)
  // A mailbox in between that the user can't see is the nearest one all the same.
  await answer(owner, `CREATE ${box}/between`)
  await answer(owner, `DELETEACL ${box}/between ${alice}`)
  expect(await answer(user, `CREATE "${others}/${box}/between/new"`)).toBe(denied)
})

test('RFC 4314 §4: RENAME needs x on the mailbox and k on the new mailbox above', async () => {
  const rename = (from: string, to: string) => answer(user, `RENAME "${from}" "${to}"`)
  const [from, above, other] = [await made('lx'), await made('lk'), await made('lrswite')]
  const denied = await rename(`${others}/${from}`, `${others}/${other}/new`)
  expect(denied).toMatch(/^NO \[NOPERM\]/)
  expect(await rename(`${others}/${from}`, `${others}/missing/new`)).toBe(denied)
  expect(await rename(`${others}/${from}`, 'Other Users/nobody@example.org/missing/new')).toBe(denied)
  expect(await rename(`${others}/${from}`, 'taken-away')).toMatch(/^NO \[CANNOT\]/)
  expect(await rename('mine', `${others}/${above}/new`)).toMatch(/^NO \[CANNOT\]/)
  expect(await rename(`${others}/${from}`, `${others}/${above}/new`)).toMatch(/^OK/)
  expect(await lines(user, `MYRIGHTS "${others}/${above}/new"`)).toEqual([`* MYRIGHTS "${others}/${above}/new" lxc`])
  const kept = await made(every.replace('x', ''))
  expect(await rename(`${others}/${kept}`, `${others}/${above}/kept`)).toMatch(/^NO \[NOPERM\]/)
  await answer(owner, `SETACL INBOX ${alice} ${every}`)
  expect(await rename(`${others}/INBOX`, `${others}/${above}/inbox`)).toMatch(/^NO \[NOPERM\]/)
  await answer(owner, `DELETEACL INBOX ${alice}`)
})

test('a shared root itself is neither renamed nor removed', async () => {
  expect(await answer(user, 'DELETE "Shared Folders/Root all"')).toMatch(/^NO \[NOPERM\]/)
  expect(await answer(user, 'RENAME "Shared Folders/Root all" "Shared Folders/Root all/x"')).toMatch(/^NO \[NOPERM\]/)
  expect(await answer(user, 'SELECT "Shared Folders/Root all/INBOX"')).toMatch(/^NO \[NONEXISTENT\]/)
})

test('SUBSCRIBE and LSUB tell nothing, whatever there is', async () => {
  const hidden = `${others}/${await made('')}`
  const subscribed = [hidden, `${others}/missing`, 'Shared Folders/Root none', 'Shared Folders/No root']
  for (const name of subscribed) expect(await answer(user, `SUBSCRIBE "${name}"`)).toBe('OK SUBSCRIBE completed')
  expect(await lines(user, 'LSUB "" *')).toEqual(subscribed.sort().map((name) => `* LSUB () "/" "${name}"`))
  for (const name of subscribed) expect(await answer(user, `UNSUBSCRIBE "${name}"`)).toMatch(/^OK/)
})

const flagsOf = async (box: string) => {
  await answer(owner, `EXAMINE ${box}`)
  const told = await lines(owner, 'FETCH 1:* FLAGS')
  await answer(owner, 'UNSELECT')
  return told.map((line) =>
    /FLAGS \(([^)]*)\)/
      .exec(line)![1]!
      .replace(/ ?\\Recent/, '')
      .split(' ')
      .sort()
      .join(' '),
  )
}

test.for([
  ['lr', '', 'READ-ONLY', undefined],
  ['lrs', '\\Seen', 'READ-WRITE', '\\Deleted \\Seen'],
  ['lrt', '\\Deleted', 'READ-WRITE', '\\Deleted'],
  ['lrw', '\\Answered \\Flagged \\Draft \\*', 'READ-WRITE', '$Word \\Deleted \\Flagged'],
  ['lri', '', 'READ-WRITE', undefined],
  ['lrswt', '\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*', 'READ-WRITE', '$Word \\Deleted \\Flagged \\Seen'],
] as const)('RFC 4314 §4, §5.1.1: flags that one with %s may change', async ([rights, permanent, mode, stored]) => {
  const box = await made(rights)
  const told = await user.command('x', `SELECT "${others}/${box}"`)
  expect(told.find((line) => line.includes('PERMANENTFLAGS'))).toContain(`PERMANENTFLAGS (${permanent})]`)
  expect(told.at(-1)).toContain(`[${mode}]`)
  // All together: what may be changed is.
  const reply = await answer(user, 'STORE 1 +FLAGS (\\Seen \\Deleted \\Flagged $Word)')
  if (stored === undefined) {
    expect(reply).toMatch(/^NO \[(NOPERM|READ-ONLY)\]/)
    expect(await flagsOf(box)).toEqual(['\\Deleted'])
  } else {
    expect(reply).toMatch(/^OK/)
    expect(await flagsOf(box)).toEqual([stored])
  }
  // FETCH sets \Seen for those alone who may.
  await answer(owner, `STATUS ${box} (MESSAGES)`)
  await answer(user, 'FETCH 1 BODY[]')
  expect((await flagsOf(box))[0]!.includes('\\Seen')).toBe(rights.includes('s'))
})

test('RFC 4314 §4: STORE FLAGS of one who may change some leaves the others as they are', async () => {
  const box = await made('lrs')
  await answer(user, `SELECT "${others}/${box}"`)
  expect(await answer(user, 'STORE 1 FLAGS (\\Seen \\Flagged)')).toMatch(/^OK/)
  expect(await flagsOf(box)).toEqual(['\\Deleted \\Seen'])
  expect(await lines(user, 'STORE 1 FLAGS.SILENT ()')).toEqual([])
  expect(await flagsOf(box)).toEqual(['\\Deleted'])
  expect(await lines(user, 'NOOP')).toEqual([])
  expect(await answer(user, 'STORE 1 FLAGS (\\Flagged)')).toMatch(/^NO \[NOPERM\]/)
})

test('RFC 4314 §4: APPEND and COPY keep the flags that may be set', async () => {
  await answer(user, 'CREATE flagged')
  await answer(user, `APPEND flagged (\\Seen \\Deleted \\Flagged) ${message}`)
  await answer(user, 'SELECT flagged')
  for (const [rights, kept] of [
    ['li', ''],
    ['lis', '\\Seen'],
    ['lit', '\\Deleted'],
    ['liw', '\\Flagged'],
    ['lr', undefined],
  ] as const) {
    const box = await made(rights)
    await answer(user, `APPEND "${others}/${box}" (\\Seen \\Deleted \\Flagged) ${message}`)
    await answer(user, `COPY 1 "${others}/${box}"`)
    expect(await flagsOf(box), rights).toEqual(['\\Deleted', ...(kept === undefined ? [] : [kept, kept])])
  }
})

test('RFC 3503 §4.3: COPY keeps $MDNSent, whoever copies', async () => {
  await answer(user, 'CREATE receipts')
  await answer(user, `APPEND receipts ($MDNSent Work) ${message}`)
  await answer(user, 'SELECT receipts')
  const box = await made('li')
  await answer(user, `COPY 1 "${others}/${box}"`)
  expect(await flagsOf(box)).toEqual(['\\Deleted', '$MDNSent'])
})

test.for([
  ['lrswt', false],
  ['lre', true],
] as const)('RFC 4314 §4: with %s expunging: %s', async ([rights, may]) => {
  const box = await made(rights)
  const open = () => answer(user, `SELECT "${others}/${box}"`)
  await open()
  expect(await answer(user, 'UID EXPUNGE 1:*')).toMatch(may ? /^OK/ : /^NO \[NOPERM\]/)
  expect(await answer(user, 'EXPUNGE')).toMatch(may ? /^OK/ : /^NO \[NOPERM\]/)
  expect(await flagsOf(box)).toHaveLength(may ? 0 : 1)
  await answer(owner, `APPEND ${box} (\\Deleted) ${message}`)
  await open()
  expect(await answer(user, 'CLOSE')).toMatch(/^OK/)
  expect(await flagsOf(box)).toHaveLength(may ? 0 : 2)
})

test.for(['lrt', 'lre', 'lrte'])('RFC 6851 §4.2: MOVE from a mailbox with %s', async (rights) => {
  const box = await made(rights)
  await answer(user, `SELECT "${others}/${box}"`)
  const may = rights === 'lrte'
  expect(await answer(user, 'MOVE 1 mine')).toMatch(may ? /^OK/ : /^NO \[NOPERM\]/)
  expect(await flagsOf(box)).toHaveLength(may ? 0 : 1)
})

test('the own mailboxes are as they were', async () => {
  await answer(user, 'CREATE own')
  expect(await lines(user, 'MYRIGHTS own')).toEqual(['* MYRIGHTS own lrswipkxteacd'])
  expect(await answer(user, 'MYRIGHTS missing')).toMatch(/^NO \[NONEXISTENT\]/)
  for (const { name, selected, command } of verbs.filter(({ name }) => !['DELETE', 'RENAME', 'MOVE'].includes(name))) {
    if (selected !== undefined) await answer(user, 'SELECT mine')
    if (name === 'SETACL') continue
    expect(await answer(user, command('own')), name).toMatch(/^OK/)
  }
  expect(await answer(user, 'APPEND none {3+}\r\nabc')).toMatch(/^NO \[TRYCREATE\]/)
})
