/** SV-13 C-24: operators manage the scripts of users. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { msadm } from '#src/cli/msadm/msadm.ts'
import { openMessageTrack } from '#src/delivery/message-track.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { openStore } from '#src/store/store.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'msadm-sieve-'))
  await writeFile(
    join(directory, 'ms.conf'),
    '<ms_options><account_db>accounts</account_db><userdir>user</userdir><msgtrack_db>track</msgtrack_db><domain>a.example</domain></ms_options>',
  )
  await msadm(['-c', join(directory, 'ms.conf'), 'add', 'joe', '-p', 'secret'], quiet(''))
})
afterAll(() => rm(directory, { recursive: true }))

const quiet = (input: string) => {
  const sink = () => new Writable({ write: (_chunk, _, done) => done() })
  return { input: Readable.from([Buffer.from(input)]), out: sink(), err: sink() }
}

const sieve = (words: string, input = '') => call('sieve', words, input)

async function call(command: string, words: string, input = '') {
  const told = { out: '', err: '' }
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _, done) => {
        told[name] += chunk
        done()
      },
    })
  const args = ['-c', join(directory, 'ms.conf'), ...(words.startsWith('--json') ? ['--json'] : [])]
  const status = await msadm([...args, command, ...words.replace('--json ', '').split(' ')], {
    input: Readable.from([Buffer.from(input)]),
    out: collect('out'),
    err: collect('err'),
  })
  return { status, ...told }
}

it('puts, lists, gives, activates, renames and removes', async () => {
  expect(await sieve('list joe')).toMatchObject({ status: 1, err: expect.stringContaining('no mail of joe@a.example') })
  expect(await sieve('put joe work --activate', 'keep;\r\n')).toMatchObject({
    status: 0,
    out: 'work is kept and active\n',
  })
  await writeFile(join(directory, 'other.sieve'), 'discard;')
  expect(await sieve(`put joe other ${join(directory, 'other.sieve')}`)).toMatchObject({ status: 0 })
  expect((await sieve('list joe')).out).toBe('other 8 octets\nwork 7 octets active\n')
  expect(JSON.parse((await sieve('--json list joe')).out.split('\n')[1]!)).toEqual({
    userId: 'joe@a.example',
    name: 'work',
    octets: 7,
    active: true,
  })
  expect((await sieve('get joe')).out).toBe('keep;\r\n')
  expect((await sieve('get sieve://mail.a.example/joe@a.example/other')).out).toBe('discard;')
  expect(await sieve('remove joe work')).toMatchObject({ status: 1, err: expect.stringContaining('active') })
  expect(await sieve('activate joe other')).toMatchObject({ status: 0 })
  expect(await sieve('rename joe other vacation')).toMatchObject({ status: 0 })
  expect(await sieve('remove joe work')).toMatchObject({ status: 0 })
  const store = openStore({ root: join(directory, 'user'), clock: systemClock, log: silentLog })
  expect(await scriptsOf(store.account('joe@a.example' as UserId)).findActive()).toEqual({
    name: 'vacation',
    text: 'discard;',
  })
  await store.close()
  expect(await sieve('deactivate joe')).toMatchObject({ status: 0 })
  expect(await sieve('get joe')).toMatchObject({ status: 1, err: expect.stringContaining('no active script') })
})

it('keeps no script with errors, and tells where they are', async () => {
  expect(await sieve('put joe work', 'keep;\nnonsense;\n')).toMatchObject({
    status: 1,
    err: expect.stringMatching(/not kept:\nline 2, column 1: /),
  })
  expect(await sieve('get joe work')).toMatchObject({
    status: 1,
    err: expect.stringContaining('no script of this name'),
  })
})

it('says what is missing in its words', async () => {
  for (const words of ['', 'get', 'put joe', 'rename joe a', 'list joe a', 'list joe --activate', 'get sieve://host/'])
    expect((await sieve(words)).status, words).toBe(64)
})

it('SV-12 dump vacation tells who was answered for a user, and for nobody else', async () => {
  expect(await call('dump', 'vacation joe')).toMatchObject({
    status: 0,
    out: 'nobody was answered for joe@a.example\n',
  })
  const path = join(directory, 'track')
  const track = openMessageTrack({ path, clock: systemClock, log: silentLog, historySeconds: () => 60 })
  const answered = { kind: 'vacation', key: 'x', seconds: 60 } as const
  await track.add([
    { ...answered, owner: 'joe@a.example', shown: 'anna@example.org' },
    { ...answered, owner: 'bert@a.example', shown: 'carla@example.org' },
  ])
  await track.close()
  const { out } = await call('dump', '--json vacation joe')
  expect(JSON.parse(out)).toMatchObject({ userId: 'joe@a.example', address: 'anna@example.org' })
  expect((await call('dump', 'vacation joe')).out).toMatch(/^\d{4}-\d\d-\d\dT\S+Z anna@example\.org\n$/)
})
