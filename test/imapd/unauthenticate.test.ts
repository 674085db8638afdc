/** UNAUTHENTICATE, RFC 8437 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const [admin, anna, ben] = ['admin@example.org', 'anna@example.org', 'ben@example.org']
let imapd: RunningImapd
beforeAll(async () => {
  imapd = await startImapd([admin, anna, ben], { admin_user: admin })
})
afterAll(() => imapd.stop())

const as = (user: string, own = admin) =>
  `AUTHENTICATE PLAIN ${Buffer.from(`${user}\0${own}\0secret`).toString('base64')}`

async function greeted(): Promise<Peer> {
  const peer = await Peer.open(imapd)
  onTestFinished(() => peer.destroy())
  await peer.line()
  return peer
}

const capabilities = async (peer: Peer) => (await peer.command('cap', 'CAPABILITY'))[0]

describe('UNAUTHENTICATE', () => {
  it('is for administrators: nobody else is told of it, or gets it', async () => {
    const peer = await greeted()
    expect(await capabilities(peer)).not.toContain('UNAUTHENTICATE')
    expect(await peer.command('a', 'UNAUTHENTICATE')).toEqual(['a BAD Log in first'])
    await peer.command('b', as(anna, anna))
    expect(await capabilities(peer)).not.toContain('UNAUTHENTICATE')
    expect((await peer.command('c', 'UNAUTHENTICATE'))[0]).toMatch(/^c BAD Only for administrators/)
    expect((await peer.command('d', 'STATUS INBOX (MESSAGES)')).at(-1)).toMatch(/^d OK/)
    const self = await greeted()
    await self.command('e', `LOGIN ${admin} secret`)
    expect(await capabilities(self)).toContain(' UNAUTHENTICATE')
    expect(await self.command('f', 'UNAUTHENTICATE now')).toEqual([expect.stringMatching(/^f BAD/)])
  })

  it('goes from user to user, in one round trip each, and takes nothing along', async () => {
    const peer = await greeted()
    await peer.command('a', as(anna))
    expect(await capabilities(peer)).toContain(' UNAUTHENTICATE')
    await peer.command('b', 'APPEND INBOX (\\Deleted) {17+}\r\nSubject: anna\r\n\r\n')
    await peer.command('c', 'SELECT INBOX')
    // A mailbox is left without an expunge, §3.
    peer.write(`d UNAUTHENTICATE\r\ne ${as(ben)}\r\nf FETCH 1 FLAGS\r\ng STATUS INBOX (MESSAGES)\r\nh LIST "" *\r\n`)
    expect(await peer.until('d')).toEqual(['d OK UNAUTHENTICATE completed'])
    expect((await peer.until('e')).at(-1)).toMatch(/^e OK/)
    expect(await peer.until('f')).toEqual(['f BAD Select a mailbox first'])
    expect((await peer.until('g'))[0]).toBe('* STATUS INBOX (MESSAGES 0)')
    expect((await peer.until('h')).join()).not.toContain(anna)
    peer.write(`i UNAUTHENTICATE\r\nj LIST "" *\r\n`)
    expect(await peer.until('j')).toEqual(['i OK UNAUTHENTICATE completed', 'j BAD Log in first'])
    expect([...imapd.bus.announced].at(-1)?.presence).toMatchObject({ user: '', activity: 'connected', mailbox: '' })
    await peer.command('k', as(anna))
    expect((await peer.command('l', 'STATUS INBOX (MESSAGES)'))[0]).toBe('* STATUS INBOX (MESSAGES 1)')
  })

  it('before a login as somebody who administers nobody', async () => {
    const peer = await greeted()
    await peer.command('a', as(anna))
    await peer.command('b', 'UNAUTHENTICATE')
    await peer.command('c', as(ben, ben))
    expect(await capabilities(peer)).not.toContain('UNAUTHENTICATE')
    expect((await peer.command('d', 'UNAUTHENTICATE'))[0]).toMatch(/^d BAD/)
  })

  it('ends compression behind its OK, §4.1', async () => {
    const peer = await greeted()
    await peer.command('a', as(anna))
    await peer.command('b', 'COMPRESS DEFLATE')
    const compressed = peer.compress()
    expect(await compressed.command('c', 'UNAUTHENTICATE')).toEqual(['c OK UNAUTHENTICATE completed'])
    const plain = compressed.uncompress()
    expect((await plain.command('d', as(ben))).at(-1)).toMatch(/^d OK/)
    expect(await capabilities(plain)).toContain(' COMPRESS=DEFLATE')
    expect(await plain.command('e', 'COMPRESS DEFLATE')).toEqual(['e OK DEFLATE active'])
    expect((await plain.compress().command('f', 'NOOP')).at(-1)).toMatch(/^f OK/)
  })

  it('gives the client the login time again, and the limits from before the login', async () => {
    const peer = await greeted()
    await peer.command('a', as(anna))
    expect((await peer.command('b', `NOOP ${'x'.repeat(20_000)}`)).at(-1)).not.toContain('longer')
    await peer.command('c', 'UNAUTHENTICATE')
    expect((await peer.command('d', `NOOP ${'x'.repeat(20_000)}`)).at(-1)).toMatch(/^d BAD command: longer than/)
  })
})
