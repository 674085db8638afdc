/**
 * Sessions at random on one mailbox, each watched by a client that believes only what it was told. RFC 3501 §7.4.1, §5.5, RFC 2180. Every fourth one follows MODSEQs and comes back
 * after lost connections, RFC 7162. At each checkpoint, after NOOP in all, every belief is the truth and all views are the same.
 */
import assert from 'node:assert/strict'
import { Client, ResyncingClient, randomOf } from './believing-client.ts'
import { Peer, type Server } from './transcript.ts'

export interface Course {
  /** Of one user; sessions are spread over them. */
  readonly servers: readonly Server[]
  readonly sessions: number
  /** At the beginning. */
  readonly messages: number
  /** At least so many, of all sessions together. */
  readonly commands: number
  readonly roundsPerCheck: number
  readonly seed: number
  onCheck?(counts: Counts): void
}

export interface Counts {
  commands: number
  checkpoints: number
  readonly recent: number
}

/** Rejects with the first thing that does not fit together. */
export async function check(course: Course): Promise<Counts> {
  const { sessions, seed, messages } = course
  const clients = await Promise.all(Array.from({ length: sessions }, (_, index) => clientFor(course, index)))
  const resyncing = clients.filter((client) => client instanceof ResyncingClient)
  try {
    await clients[0]!.command('CREATE Other')
    for (let made = 0; made < messages; made++)
      await clients[0]!.command('APPEND INBOX {21+}\r\nSubject: z\r\n\r\nhello\r\n')
    await Promise.all(clients.map((client) => client.command('SELECT INBOX')))
    const commands = () => clients.reduce((sum, client) => sum + client.commands, 0)
    const end = commands() + course.commands
    let checkpoints = 0
    while (commands() < end || checkpoints === 0) {
      for (let round = 0; round < course.roundsPerCheck; round++)
        await Promise.all(clients.map((client) => client.anything()))
      await checkpoint(clients, resyncing)
      checkpoints += 1
      course.onCheck?.({ commands: commands(), checkpoints, recent: 0 })
    }
    const recent = clients.flatMap((client) => [...client.recent])
    assert.equal(recent.length, new Set(recent).size, 'a UID is \\Recent in two sessions')
    return { commands: commands(), checkpoints, recent: recent.length }
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
  } finally {
    for (const { peer } of clients) peer.destroy()
  }
}

async function clientFor({ servers, seed }: Course, index: number): Promise<Client> {
  const server = servers[index % servers.length]!
  const [name, peer, random] = [`c${index}x`, await Peer.open(server), randomOf(seed * 100 + index)]
  const client = index % 4 === 3 ? new ResyncingClient(name, peer, random, server) : new Client(name, peer, random)
  await client.enter(server)
  return client
}

async function checkpoint(clients: readonly Client[], resyncing: readonly ResyncingClient[]): Promise<void> {
  for (const client of clients) await client.command('NOOP')
  for (const client of resyncing) await client.learn()
  const truth = await clients[0]!.truth()
  for (const client of clients.slice(1)) assert.deepEqual(await client.truth(), truth, `what ${client.name} sees`)
  for (const client of resyncing) await client.breakAndResync()
}
