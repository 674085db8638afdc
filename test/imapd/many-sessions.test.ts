/**
 * Sessions at random on one mailbox, each watched by a client that believes only what it was told. RFC 3501 §7.4.1, §5.5, RFC 2180;
 * two of them in one process, one in another; and one that follows MODSEQs and comes back after lost connections, RFC 7162. After NOOP in all, every belief is the truth and all views are the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client, ResyncingClient, randomOf } from './believing-client.ts'
import { type RunningImapd, startImapd } from './support.ts'
import { Peer } from './transcript.ts'

const seeds = [1, 2, 3]
const rounds = 60
const roundsPerCheck = 12
const user = (seed: number) => `user${seed}@example.org`

let first: RunningImapd
let second: RunningImapd
beforeAll(async () => {
  first = await startImapd(seeds.map(user))
  second = await first.twin()
})
afterAll(async () => {
  await second.stop()
  await first.stop()
})

async function enter(imapd: RunningImapd, seed: number, name: string): Promise<Client> {
  const { user: login, password, ...address } = imapd.as(user(seed))
  const client = new Client(name, await Peer.open(address), randomOf(seed * 100 + name.charCodeAt(0)))
  await client.peer.line()
  await client.command(`LOGIN ${login} ${password}`)
  return client
}

describe('three sessions on one mailbox', () => {
  for (const seed of seeds)
    it(`IMAP-16: agree, seed ${seed} (${rounds} rounds of commands at the same time)`, async () => {
      const clients = await Promise.all([enter(first, seed, 'a'), enter(first, seed, 'b'), enter(second, seed, 'c')])
      await clients[0].command('CREATE Other')
      for (let i = 0; i < 20; i++) await clients[0].command('APPEND INBOX {21+}\r\nSubject: z\r\n\r\nhello\r\n')
      await Promise.all(clients.map((client) => client.command('SELECT INBOX')))
      const returning = await ResyncingClient.start(first, user(seed), 'd', randomOf(seed * 100 + 4))
      await returning.select()
      for (let round = 1; round <= rounds; round++) {
        await Promise.all([...clients, returning].map((client) => client.anything()))
        if (round % roundsPerCheck !== 0) continue
        for (const client of [...clients, returning]) await client.command('NOOP')
        await returning.learn()
        const [a, b, c] = [await clients[0].truth(), await clients[1].truth(), await clients[2].truth()]
        expect(b).toEqual(a)
        expect(c).toEqual(a)
        expect(await returning.truth()).toEqual(a)
        await returning.breakAndResync()
      }
      const claimed = [...clients, returning].flatMap(({ recent }) => [...recent])
      expect(claimed.length, 'each UID is \\Recent in one session').toBe(new Set(claimed).size)
      expect(claimed.length).toBeGreaterThan(20)
      for (const { peer } of [...clients, returning]) peer.destroy()
      expect([...first.records, ...second.records].filter(({ severity }) => severity === 'err')).toEqual([])
    })
})
