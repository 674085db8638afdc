import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { Progress } from '#src/cli/msadm/progress.ts'
import { deliverAll, freshRoot, storeIn } from '../store/support.ts'

let directory: string
let mail: string
beforeEach(async () => {
  directory = freshRoot()
  mail = join(directory, 'user')
  writeFileSync(
    join(directory, 'ms.conf'),
    '<ms_options><account_db>accounts</account_db><userdir>user</userdir><domain>a.example</domain></ms_options>',
  )
  await using store = storeIn(mail)
  for (const name of ['joe', 'ann']) {
    const account = store.account(`${name}@a.example` as UserId)
    await account.ensure()
    await using inbox = await account.open('INBOX')
    await deliverAll(inbox, [{ text: 'Subject: one\r\n\r\none\r\n' }, { text: 'Subject: two\r\n\r\ntwo\r\n' }])
  }
})

async function run(args: readonly string[], isTTY = false) {
  const output = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        output[name] += chunk
        done()
      },
    })
  const status = await msadm(['-c', join(directory, 'ms.conf'), ...args], {
    input: Readable.from([]),
    out: collect('out'),
    err: Object.assign(collect('err'), { isTTY }),
  })
  return { status, ...output }
}

const messages = (name: string) => `${mail}/${name}@a.example/INBOX/msg`
const cut = (name: string) => truncateSync(`${messages(name)}/${readdirSync(messages(name))[0]}`, 3)

describe('msadm verify', () => {
  it('says what it looked at, and ends with 0, where nothing is wrong', async () => {
    expect(await run(['verify'])).toEqual({
      status: 0,
      out: 'looked at 2 accounts, 2 mailboxes, 4 messages, 84 octets\nnothing was found\n',
      err: '',
    })
    expect((await run(['verify', 'joe'])).out).toContain('looked at 1 account, 1 mailbox, 2 messages, 42 octets')
  })

  it('tells damage a line each, sums it up, and ends with 1; with -r repairs it, and ends with 0', async () => {
    cut('joe')
    const found = await run(['verify'])
    expect(found.status).toBe(1)
    const [line, ...summary] = found.out.split('\n')
    expect(line).toMatch(/^damage message-size: joe@a\.example "INBOX" UID [12] \/.*has 3 octets instead of 21\); -r /)
    expect(summary).toEqual([
      'looked at 2 accounts, 2 mailboxes, 4 messages, 84 octets',
      'message-size  damage   1 found',
      '',
    ])
    expect(found.err).toContain('damage is left: 1')
    expect((await run(['verify', 'ann'])).status).toBe(0)
    const repaired = await run(['verify', '-r', 'joe'])
    expect(repaired).toMatchObject({
      status: 0,
      err: '',
      out: expect.stringContaining('message-size  damage   1 found, 1 repaired'),
    })
    expect((await run(['verify'])).status).toBe(0)
  })

  it('ends with 0 where there are warnings only', async () => {
    writeFileSync(`${messages('ann')}/notes`, 'x', { mode: 0o600 })
    const { status, out } = await run(['verify'])
    expect([status, out.split(':')[0]]).toEqual([0, 'warning stray-file'])
  })

  it('writes one JSON object a line with --json, the last for all', async () => {
    cut('joe')
    mkdirSync(`${mail}/Not A User`)
    const { status, out } = await run(['--json', 'verify'])
    expect(status).toBe(1)
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatchObject({ kind: 'account-name', severity: 'warning', path: `${mail}/Not A User` })
    expect(lines[1]).toMatchObject({
      kind: 'message-size',
      severity: 'damage',
      userId: 'joe@a.example',
      mailbox: 'INBOX',
      uid: expect.any(Number),
      path: expect.stringContaining(messages('joe')),
    })
    expect(lines[2]).toMatchObject({ summary: { accounts: 2, messages: 4, kinds: { 'message-size': { found: 1 } } } })
    expect(lines[3]).toMatchObject({ command: 'verify' })
  })

  it('says which users have no mail, and what is wrong with a switch', async () => {
    const { status, err } = await run(['verify', 'joe', 'nobody'])
    expect([status, err]).toEqual([1, 'msadm: verify: there is no mail of nobody@a.example\n'])
    expect((await run(['verify', '--quick'])).status).toBe(64)
    expect((await run(['verify', '--help'])).out).toContain('--deep')
  })

  it('tells how far it is and how long the rest takes, on a terminal or when asked to', async () => {
    let now = 0
    const shown: string[] = []
    const progress = new Progress({ ...systemClock, monotonic: () => now }, (text) => shown.push(text))
    progress.accounts({ count: 2 })
    progress.step({ what: 'mailboxes', count: 2 })
    progress.step({ what: 'messages', count: 4 })
    now = 60_000
    progress.step({ what: 'message', octets: 10 })
    // A quarter of the first of two mailboxes of the first of two accounts is a sixteenth of all: 15 more minutes.
    expect(shown).toEqual(['6 %, 0 of 2 accounts, 1 messages, about 0:15:00 left'])
    progress.step({ what: 'mailbox' })
    now = 100_000
    progress.accounts('ended')
    expect(shown.at(-1)).toBe('50 %, 1 of 2 accounts, 1 messages, about 0:01:40 left')
    expect((await run(['verify'], true)).err).toBe('\r\x1b[K')
  })
})
