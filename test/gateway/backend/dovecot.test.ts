import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BackendProfile } from '#gateway/backend/profile.ts'
import { defaultLimits } from '#gateway/backend/types.ts'
import { type Dovecot, startDovecot } from '#test/support/dovecot.ts'
import { as, fetchAll, numbers, open as openQuick } from './maildrop.ts'

const open: typeof openQuick = (port, changes) => openQuick(port, { limits: defaultLimits, ...changes })

const message = (n: number) =>
  Buffer.from(
    `From: a@example.org\r\nSubject: ${n}\r\n\r\n.dot\r\n..dots\r\n${'caf\xe9 '.repeat(n % 50)}\r\n.\r\n`,
    'latin1',
  )

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({ users: { anna: 'pw', mueller: 'gr\u00fcn' }, protocols: ['pop3'], tls: true })
  await dovecot.fill('anna', numbers(1_500).map(message))
})
afterAll(() => dovecot.stop())

describe('against Dovecot', () => {
  it('retrieves every message byte-identical, pipelined', async () => {
    const maildrop = await open(dovecot.pop3Port)
    expect(maildrop.count).toBe(1_500)
    expect(maildrop.capabilities.has('PIPELINING')).toBe(true)
    const listing = await maildrop.uidl()
    expect(listing!.complete).toBe(true)
    expect(new Set(listing!.listed.map(({ uidl }) => uidl)).size).toBe(1_500)
    const { bodies, refused } = await fetchAll(maildrop, numbers(1_500))
    expect(refused.size).toBe(0)
    for (const n of numbers(1_500)) expect(bodies.get(n)).toEqual(message(n))
    const sizes = await maildrop.list()
    expect(sizes.get(7)).toBe(message(7).length)
    const tops: string[] = []
    await maildrop.top(
      [7],
      0,
      (_, octets) => tops.push(octets.toString()),
      () => {},
    )
    expect(tops).toEqual(['From: a@example.org\r\nSubject: 7\r\n\r\n'])
    await maildrop.quit()
  })

  it('deletes only with QUIT', async () => {
    const first = await open(dovecot.pop3Port)
    expect(await first.remove([1, 2])).toEqual(new Map())
    first.close()
    const second = await open(dovecot.pop3Port)
    expect(second.count).toBe(1_500)
    const refused = await second.remove([1, 2, 4_000])
    expect([...refused].map(([number, { kind }]) => [number, kind])).toEqual([[4_000, 'gone']])
    await second.quit()
    const third = await open(dovecot.pop3Port)
    expect(third.count).toBe(1_498)
    await third.quit()
  })

  it('POPS: verifies the certificate, by name and by address', async () => {
    const ca = readFileSync(dovecot.certificateFile!)
    for (const host of ['localhost', '127.0.0.1']) {
      const maildrop = await open(dovecot.pop3sPort!, { host, implicitTls: true, trust: { ca } })
      expect(maildrop.protection).toBe('tls')
      await maildrop.quit()
    }
    await expect(open(dovecot.pop3sPort!, { implicitTls: true })).rejects.toMatchObject({
      kind: 'tls',
      retryable: false,
    })
  })

  it('STLS: verified where required, encrypted where merely offered (GW-16)', async () => {
    const ca = readFileSync(dovecot.certificateFile!)
    const required = await open(dovecot.pop3Port, { startTls: 'required', trust: { ca } })
    expect(required.protection).toBe('tls')
    expect((await fetchAll(required, [5])).bodies.get(5)).toEqual(message(7))
    await required.quit()
    await expect(open(dovecot.pop3Port, { startTls: 'required' })).rejects.toMatchObject({ kind: 'tls' })
    const offered = await open(dovecot.pop3Port, { startTls: 'offered' })
    expect(offered.protection).toBe('unverified')
    await offered.quit()
    // Once verified, a certificate that does not verify any more is somebody else.
    const profile = new BackendProfile({ protection: 'tls' })
    await expect(open(dovecot.pop3Port, { startTls: 'offered', profile })).rejects.toMatchObject({ kind: 'tls' })
  })

  it('a wrong password, an unknown user and a closed port have kinds of their own', async () => {
    await expect(open(dovecot.pop3Port, as('anna', 'no'))).rejects.toMatchObject({ kind: 'auth' })
    await expect(open(dovecot.pop3Port, as('nobody', 'pw'))).rejects.toMatchObject({ kind: 'auth' })
    await expect(open(1)).rejects.toMatchObject({ kind: 'connect', retryable: true })
    await expect(open(1, { implicitTls: true })).rejects.toMatchObject({ kind: 'connect', retryable: true })
  })

  it('sends the password as octets', async () => {
    const maildrop = await open(dovecot.pop3Port, as('mueller', 'gr\u00fcn'))
    expect(maildrop.count).toBe(0)
    await maildrop.quit()
  })

  it('waits for a slow sink without losing or holding much', async () => {
    const maildrop = await open(dovecot.pop3Port)
    let total = 0
    await maildrop.retrieve(
      numbers(300),
      () => ({
        write: async (chunk) => {
          await new Promise((resolve) => setImmediate(resolve))
          total += chunk.length
        },
        end: () => {},
        abort: () => {},
      }),
      () => {},
    )
    expect(total).toBe(numbers(300).reduce((sum, n) => sum + message(n + 2).length, 0))
    await maildrop.quit()
  })
})
