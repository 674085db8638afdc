import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#gateway/backend/types.ts'
import { systemClock } from '#src/base/clock.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { backendAt, clientExpunges, contents, Syncer, testStore, withMailbox } from './support.ts'

const root = resolve(import.meta.dirname, '../../..')
const samples = globSync('src/cli/start/samples/*.eml', { cwd: root }).map((file) => readFileSync(join(root, file)))
const corpusDirectory = resolve(root, '../shared/corpus')
const sha256 = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')
const message = (n: number) => Buffer.from(`Subject: ${n}\r\n\r\nmessage ${n}\r\n.\r\n`)
/** As Dovecot sends a file: bare LF becomes CRLF. */
const asSent = (octets: Buffer) => Buffer.from(octets.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1')

let dovecot: Dovecot
const users = ['samples', 'corpus', 'both', 'window', 'second', 'archived']
beforeAll(async () => {
  dovecot = await startDovecot({
    users: Object.fromEntries(users.map((user) => [user, 'pw'])),
    protocols: ['pop3', 'imap'],
    tls: true,
  })
})
afterAll(() => dovecot.stop())
const syncer = (store: Parameters<typeof contents>[0], user: string, mailbox = 'INBOX') =>
  new Syncer(store, backendAt(dovecot.pop3Port, { user, mailbox }), { limits: defaultLimits })

describe('with Dovecot as the backend', () => {
  it('GW-03: the first sync is byte-identical, the second transfers nothing', async () => {
    await dovecot.fill('samples', samples)
    await using test = await testStore()
    const gateway = syncer(test.store, 'samples')
    expect(await gateway.sync()).toMatchObject({ listed: samples.length, fetched: samples.length, failed: 0 })
    const stored = (await contents(test.store)).map(sha256)
    expect(stored.sort()).toEqual(samples.map((octets) => sha256(asSent(octets))).sort())
    expect(await gateway.sync()).toMatchObject({ listed: samples.length, fetched: 0, expungedHere: 0, deletedThere: 0 })
  })

  it('fetches nothing for a user in an archive, deletes nothing of his, and lets him log in (MDIR-06)', async () => {
    await dovecot.fill('archived', [message(1)])
    await using filled = await testStore()
    await syncer(filled.store, 'archived').sync()
    await dovecot.fill('archived', [message(2)])
    await using store = openStore({
      root: join(filled.root, 'nobody'),
      archives: [filled.root],
      clock: systemClock,
      log: silentLog,
    })
    let proven = false
    const refused = syncer(store, 'archived').sync({}, { onProven: () => (proven = true) })
    await expect(refused).rejects.toMatchObject({ kind: 'no-permission', message: /archive/ })
    expect(proven).toBe(true)
    expect(await contents(store)).toHaveLength(1)
    await using test = await testStore()
    expect(await syncer(test.store, 'archived').sync()).toMatchObject({ fetched: 2 })
  })

  it('POPS: the same', async () => {
    await using test = await testStore()
    const trust = { ca: readFileSync(dovecot.certificateFile!) }
    const backend = backendAt(dovecot.pop3sPort!, { protocol: 'pops', user: 'samples' })
    const gateway = new Syncer(test.store, backend, { trust, limits: defaultLimits })
    expect(await gateway.sync()).toMatchObject({ fetched: samples.length })
  })

  it('the whole corpus, byte-identical to the backend', async () => {
    if (!existsSync(corpusDirectory)) return console.log('the corpus is absent; the samples have to do')
    const corpus = globSync('**/*.eml', { cwd: corpusDirectory }).map((file) =>
      readFileSync(join(corpusDirectory, file)),
    )
    await dovecot.fill('corpus', corpus)
    await using test = await testStore()
    const gateway = syncer(test.store, 'corpus')
    const result = await gateway.sync()
    const got = (await contents(test.store)).map(sha256).sort()
    const sent = await retrieved('corpus')
    expect(got).toEqual(sent)
    expect(result.fetched).toBe(sent.length)
    expect(await gateway.sync()).toMatchObject({ fetched: 0, expungedHere: 0 })
  })

  /** What another POP3 client gets. */
  const retrieved = async (user: string): Promise<string[]> => {
    const { execFileSync } = await import('node:child_process')
    const url = `pop3://127.0.0.1:${dovecot.pop3Port}/`
    const curl = (more: string) => execFileSync('curl', ['-s', '-u', `${user}:pw`, url + more], { maxBuffer: 2 ** 30 })
    const count = curl('').toString().trim().split('\n').length
    const digests: string[] = []
    const urls = Array.from({ length: count }, (_, index) => [
      '-o',
      join(dovecot.home(user), `${index}.out`),
      `${url}${index + 1}`,
    ])
    execFileSync('curl', ['-s', '-u', `${user}:pw`, ...urls.flat()])
    for (let index = 0; index < count; index++)
      digests.push(sha256(readFileSync(join(dovecot.home(user), `${index}.out`))))
    return digests.sort()
  }

  it('GW-07, GW-09, GW-10: deletions travel in both directions; what a client put here stays', async () => {
    await dovecot.fill('both', [1, 2, 3, 4, 5, 6].map(message))
    await using test = await testStore()
    const gateway = syncer(test.store, 'both')
    await gateway.sync()
    await withMailbox(test.store, async (mailbox) => {
      const delivery = mailbox.deliver()
      const sink = delivery.add({ internalDate: 1_700_000_000 })
      await sink.write(Buffer.from('Subject: appended\r\n\r\n'))
      await sink.end()
      await delivery.commit()
    })
    const second = await withMailbox(test.store, async ({ messages }) => messages.at(1)!)
    await clientExpunges(test.store, ({ uid }) => uid === second.uid)
    expect(await gateway.sync()).toMatchObject({ deletedThere: 1, fetched: 0 })
    expect(await gateway.sync()).toMatchObject({ listed: 5, deletedThere: 0, fetched: 0 })
    expect(await withMailbox(test.store, async (mailbox) => [...mailbox.departed()])).toEqual([])
    // Another client of the backend deletes the first.
    await syncerDeletes(1)
    await dovecot.fill('both', [message(7)])
    expect(await gateway.sync()).toMatchObject({ expungedHere: 1, fetched: 1, listed: 5 })
    const subjects = (await contents(test.store)).map((octets) => octets.toString().split('\r\n')[0])
    expect(subjects).toEqual([
      'Subject: 3',
      'Subject: 4',
      'Subject: 5',
      'Subject: 6',
      'Subject: appended',
      'Subject: 7',
    ])
  })

  const syncerDeletes = async (number: number) => {
    const { execFileSync } = await import('node:child_process')
    const url = `pop3://127.0.0.1:${dovecot.pop3Port}/${number}`
    execFileSync('curl', ['-s', '-u', 'both:pw', '-X', 'DELE', '-I', url])
  }

  it('GW-08: ignore_frontend_deletes leaves the backend alone, and nothing comes back', async () => {
    await using test = await testStore()
    const gateway = syncer(test.store, 'both')
    const { fetched } = await gateway.sync()
    await clientExpunges(test.store, () => true)
    for (let round = 0; round < 2; round++)
      expect(await gateway.sync({ ignoreFrontendDeletes: true })).toMatchObject({
        listed: fetched,
        deletedThere: 0,
        fetched: 0,
      })
    expect(await contents(test.store)).toEqual([])
  })

  it('GW-20, GW-21: fetch_last_n shows the newest, pushes older ones out, and leaves the backend alone', async () => {
    await dovecot.fill('window', [1, 2, 3, 4, 5].map(message))
    await using test = await testStore()
    const gateway = syncer(test.store, 'window')
    const subjects = async () =>
      (await contents(test.store)).map((octets) => octets.toString().split('\r\n')[0]!.slice(9))
    expect(await gateway.sync({ fetchLastN: 3 })).toMatchObject({ listed: 5, fetched: 3 })
    expect(await subjects()).toEqual(['3', '4', '5'])
    await dovecot.fill('window', [6, 7].map(message))
    expect(await gateway.sync({ fetchLastN: 3 })).toMatchObject({
      listed: 7,
      fetched: 2,
      pushedOut: 2,
      deletedThere: 0,
    })
    expect(await subjects()).toEqual(['5', '6', '7'])
    expect(await gateway.sync({ fetchLastN: 3 })).toMatchObject({ listed: 7, fetched: 0, pushedOut: 0 })
    expect(await gateway.sync()).toMatchObject({ listed: 7, fetched: 4 })
    expect(new Set(await subjects()).size).toBe(7)
  })

  it('UDB-09, UDB-12: another backend into a mailbox of its own', async () => {
    await dovecot.fill('second', [message(8), message(9)])
    await using test = await testStore()
    await syncer(test.store, 'samples').sync()
    await syncer(test.store, 'second', 'Work/Second').sync()
    expect(await contents(test.store)).toHaveLength(samples.length)
    expect(await contents(test.store, 'Work/Second')).toEqual([message(8), message(9)])
  })

  it('keeps the UIDL for pop3d, and the date of the topmost Received', async () => {
    await using test = await testStore()
    await syncer(test.store, 'second').sync()
    const uidls = await withMailbox(test.store, async ({ messages }) => [...messages].map(({ uidl }) => uidl))
    const { execFileSync } = await import('node:child_process')
    const url = `pop3://127.0.0.1:${dovecot.pop3Port}/`
    const listing = execFileSync('curl', ['-s', '-u', 'second:pw', '-X', 'UIDL', url]).toString().trim().split(/\r?\n/)
    expect(uidls).toEqual(listing.map((line) => line.split(' ')[1]))
  })
})
