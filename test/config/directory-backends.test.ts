import { describe, expect, it } from 'vitest'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { backendsOfEntry } from '#src/config/directory-backends.ts'

const of = (master: readonly string[], ...urls: readonly string[]) =>
  backendsOfEntry('a@b', [
    ['mail', 'pop://not.this.example'],
    ...master.map((url) => ['isodeMboxMasterBackend', url] as const),
    ...urls.map((url) => ['mboxBackends', url] as const),
  ])

describe('UDB-14: backends of an entry in the directory', () => {
  it.each([
    ['pop://pop.example.net:3110/', { protocol: 'pop', host: 'pop.example.net', port: 3110 }],
    ['pops://pop.example.net', { protocol: 'pops', host: 'pop.example.net', port: 995 }],
    ['imap://[2001:db8::1]/', { protocol: 'imap', host: '2001:db8::1', port: 143 }],
    ['imaps://joe%40a.example@imap.example.net', { protocol: 'imaps', port: 993, backendId: 'joe@a.example' }],
  ])('%s', (url, expected) => {
    expect(of([], url)).toMatchObject({ master: expected, extra: [] })
    expect(of([url])).toMatchObject({ master: expected, extra: [] })
  })

  it('the master is one of them, or stands beside them', () => {
    const [pop, imap] = ['pop://pop.example.net:110', 'imap://imap.example.net']
    expect(of([imap], pop, imap)).toMatchObject({ master: { protocol: 'imap' }, extra: [{ protocol: 'pop' }] })
    expect(of(['imap://imap.example.net:143/'], pop, imap)?.extra).toHaveLength(1)
    expect(of([imap], pop)?.extra).toHaveLength(1)
    expect(of([])).toBeUndefined()
  })

  it.each([
    [[], 'pop://a.example', 'pop://b.example'],
    [['pop://a.example', 'pop://b.example']],
    [[], 'http://a.example'],
    [[], 'pop.example.net'],
    [[], 'pop://'],
    [[], 'pop://joe:secret@a.example'],
    [[], 'imap://a.example/Work'],
    [['imap://a.example'], 'imaps://b.example'],
    [[], ''],
  ])('%j %j %j is not followed', (master: string[], ...urls: string[]) => {
    expect(() => of(master, ...urls)).toThrow(RangeError)
    expect(() => of(master, ...urls)).not.toThrow('secret')
  })

  it('go before the file and the options, and the port is not that of another host', () => {
    const database = makeUserDatabase(undefined, [{ frontendId: 'a@b', master: { line: 1, host: 'file' }, extra: [] }])
    const config = configOf({ ms_syncd_host: 'global', ms_syncd_port: 1110 })
    expect(database.find('a@b', 'a@b', config, of([], 'pop://own'))?.master).toMatchObject({ host: 'own', port: 110 })
    expect(database.find('a@b', 'a@b', config)?.master).toMatchObject({ host: 'file', port: 1110 })
  })
})
