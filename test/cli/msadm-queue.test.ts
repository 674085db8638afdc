/** msadm queue: what waits for the submission server. SV-06 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { Spool } from '#src/submission/spool.ts'
import { message } from '../submission/support.ts'
import { newPlace } from './support.ts'

describe('msadm queue', () => {
  it('shows what waits and why, hurries it, and removes it', async () => {
    const { call, directory } = await newPlace()
    expect((await call(['queue', 'list'])).out).toBe('nothing waits\n')
    const spool = new Spool(join(directory, 'user', '.outgoing'), systemClock)
    const [first, second] = await spool.add([message(1), message(2, { kind: 'vacation', sender: '' })])
    const dueMs = systemClock.now() + 60_000
    await spool.postpone(first!, dueMs, { reply: '450 4.2.0 later', counts: true })
    const listed = (await call(['--json', 'queue', 'list'])).out.trim().split('\n')
    expect(listed.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ id: second!.id, kind: 'vacation', from: '', attempts: 0 }),
      {
        id: first!.id,
        kind: 'redirect',
        from: 'martin@example.org',
        to: 'away@example.net',
        owner: 'steve@example.com',
        octets: 48,
        since: expect.stringMatching(/^\d{4}-.*Z$/),
        due: `${new Date(dueMs).toISOString().slice(0, 19)}Z`,
        attempts: 1,
        reply: '450 4.2.0 later',
      },
    ])
    expect((await call(['queue', 'list'])).out).toMatch(
      /redirect <martin@example\.org> to <away@example\.net>, .*: 450 4\.2\.0 later\n/,
    )
    expect((await call(['queue', 'retry', first!.id])).out).toBe(`${first!.id} is tried again\n`)
    expect((await spool.waiting()).every((each) => each.dueMs <= systemClock.now())).toBe(true)
    expect((await call(['queue', 'remove', second!.id])).status).toBe(0)
    expect((await spool.waiting()).map(({ id }) => id)).toEqual([first!.id])
  })

  it('shows and removes one that is damaged, and says what it can not do', async () => {
    const { call, directory } = await newPlace()
    const spool = new Spool(join(directory, 'user', '.outgoing'), systemClock)
    const [first] = await spool.add([message(1)])
    await writeFile(join(spool.directory, first!.name), 'not ours')
    expect((await call(['queue', 'list'])).out).toContain(`${first!.id} the outgoing message`)
    for (const [args, status, text] of [
      [['queue'], 64, 'list, retry or remove is needed'],
      [['queue', 'remove'], 64, 'needs the id'],
      [['queue', 'list', 'x'], 64, 'list takes no id'],
      [['queue', 'remove', 'x'], 1, 'there is no message "x"'],
    ] as const)
      expect(await call([...args])).toMatchObject({ status, err: expect.stringContaining(text) })
    expect((await call(['queue', 'remove', first!.id])).status).toBe(0)
    expect((await call(['queue', 'list'])).out).toBe('nothing waits\n')
  })
})

describe('msadm deliver', () => {
  const script = async (mail: Awaited<ReturnType<typeof newPlace>>['mail'], text: string) =>
    await mail('joe@a.example', async (account) => {
      await account.ensure()
      await scriptsOf(account).put('main', text, { scripts: 5, octets: 32_768 })
      await scriptsOf(account).activate('main')
    })
  const letter = 'From: martin@example.org\nTo: joe@a.example\nMessage-ID: <1@example.org>\n\nhi\n'

  it('SV-01, SV-06: runs the user’s script; what that sends waits in the queue', async () => {
    const { call, mail } = await newPlace()
    await script(mail, 'require "vacation"; vacation "Away."; redirect "away@example.net";')
    expect(await call(['deliver', '-f', '<martin@example.org>', 'joe'], letter)).toMatchObject({ status: 0, out: '' })
    const queued = (await call(['--json', 'queue', 'list'])).out.trim().split('\n')
    expect(
      queued
        .map((line) => JSON.parse(line))
        .map(({ kind, from, to }) => [kind, from, to])
        .toSorted(),
    ).toEqual([
      ['redirect', 'martin+sieve@example.org', 'away@example.net'],
      ['vacation', '', 'martin@example.org'],
    ])
  })

  it('RFC 5429: exits with 77 and the reason when the script refuses the message', async () => {
    const { call, mail } = await newPlace()
    await script(mail, 'require "reject"; reject "Not wanted.";')
    expect(await call(['deliver', 'joe'], letter)).toEqual({
      status: 77,
      out: '',
      err: 'msadm: deliver: Not wanted.\n',
    })
  })
})
