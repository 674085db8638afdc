/**
 * Sessions at random on one mailbox, each watched by a client that believes only what it was told. RFC 3501 §7.4.1, §5.5, RFC 2180;
 * two of them in one process, one in another. After NOOP in all, every belief is the truth and all views are the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mulberry32 } from '../support/random.ts'
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

type Random = (below: number) => number
function randomOf(seed: number): Random {
  const random = mulberry32(seed)
  return (below) => Math.floor(random() * below)
}

interface Believed {
  uid: number | undefined
  flags: Set<string> | undefined
}

const settable = ['\\Seen', '\\Flagged', '\\Deleted', '\\Answered', 'Work', '$Odd']

/** A client that numbers messages by what it was told, and fails when that does not fit together. */
class Client {
  readonly name: string
  readonly peer: Peer
  readonly random: Random
  messages: Believed[] = []
  /** UIDs that were \Recent here. */
  readonly recent = new Set<number>()
  told: { readonly recent: number } = { recent: 0 }
  #tag = 0
  #holds = false

  constructor(name: string, peer: Peer, random: Random) {
    this.name = name
    this.peer = peer
    this.random = random
  }

  async command(text: string): Promise<string> {
    const tag = `${this.name}${++this.#tag}`
    this.#holds = /^(FETCH|STORE|SEARCH)\b/.test(text)
    await this.peer.send(`${tag} ${text}`)
    const lines = await this.peer.until(tag)
    for (const line of lines.slice(0, -1)) this.#hear(line)
    const reply = lines.at(-1)!.slice(tag.length + 1)
    // A number is valid until its EXPUNGE was told: never BAD. What may fail is what others have removed.
    expect(reply, text).toMatch(/^OK |^NO \[EXPUNGEISSUED\]/)
    return reply
  }

  #hear(line: string): void {
    const [, digits, word, data] = /^\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(?: \(([\s\S]*)\))?$/.exec(line) ?? []
    const value = Number(digits)
    switch (word) {
      case 'EXISTS':
        expect(value, 'EXISTS does not shrink').toBeGreaterThanOrEqual(this.messages.length)
        while (this.messages.length < value) this.messages.push({ uid: undefined, flags: undefined })
        break
      case 'RECENT':
        this.told = { recent: value }
        break
      case 'EXPUNGE':
        expect(this.#holds, 'EXPUNGE while numbers are held').toBe(false)
        expect(this.messages[value - 1], `EXPUNGE of ${value}`).toBeDefined()
        this.messages.splice(value - 1, 1)
        break
      case 'FETCH':
        this.#hearFetch(this.messages[value - 1], data!)
    }
  }

  #hearFetch(message: Believed | undefined, data: string): void {
    if (message === undefined) throw new Error(`FETCH of a message that is not there: ${data}`)
    const uid = /\bUID (\d+)/.exec(data)?.[1]
    if (uid !== undefined) {
      if (message.uid !== undefined) expect(Number(uid), 'a number stands for one message').toBe(message.uid)
      message.uid = Number(uid)
    }
    const flags = /\bFLAGS \(([^)]*)\)/.exec(data)?.[1]
    if (flags !== undefined) message.flags = new Set(flags === '' ? [] : flags.split(' '))
    if (message.uid !== undefined && message.flags?.has('\\Recent')) this.recent.add(message.uid)
  }

  /** A sequence set of up to three ranges within what is there. */
  #set(): string {
    const number = () => 1 + this.random(this.messages.length)
    return Array.from({ length: 1 + this.random(3) }, () =>
      this.random(2) === 0 ? number() : `${number()}:${number()}`,
    ).join()
  }

  #numbersOf(set: string): number[] {
    return set.split(',').flatMap((piece) => {
      const [a, b = a] = piece.split(':').map(Number)
      const [low, high] = [Math.min(a!, b!), Math.max(a!, b!)]
      return Array.from({ length: high - low + 1 }, (_, index) => low + index)
    })
  }

  async anything(): Promise<void> {
    const empty = this.messages.length === 0
    switch (empty ? 0 : this.random(12)) {
      case 0:
        await this.command('APPEND INBOX (\\Draft) {21+}\r\nSubject: x\r\n\r\nhello\r\n')
        break
      case 1:
        await this.command('APPEND INBOX {21+}\r\nSubject: y\r\n\r\nhello\r\n')
        break
      case 2:
        await this.command(`FETCH ${this.#set()} (UID FLAGS)`)
        break
      case 3:
        await this.command(`FETCH ${this.#set()} (UID BODY[TEXT])`)
        break
      case 4:
      case 5:
      case 6:
        await this.#store()
        break
      case 7:
        await this.command('EXPUNGE')
        break
      case 8:
        await this.command('NOOP')
        break
      case 9:
        await this.command('SEARCH UNSEEN')
        break
      case 10:
        await this.command(`COPY ${1 + this.random(this.messages.length)} INBOX`)
        break
      case 11:
        await this.command(`MOVE ${1 + this.random(this.messages.length)} ${this.random(2) === 0 ? 'INBOX' : 'Other'}`)
    }
  }

  async #store(): Promise<void> {
    const set = this.#set()
    const mode = ['', '+', '-'][this.random(3)]!
    const silent = this.random(2) === 0
    const flags = settable.filter(() => this.random(4) === 0)
    const named = this.#numbersOf(set).map((number) => this.messages[number - 1]!)
    // Before the answer, which corrects it where others changed the same flags.
    if (silent)
      for (const message of new Set(named)) {
        const recent = message.flags?.has('\\Recent') ? ['\\Recent'] : []
        if (mode === '') message.flags = message.flags && new Set([...flags, ...recent])
        else if (mode === '+') message.flags = message.flags && new Set([...message.flags, ...flags])
        else message.flags = message.flags?.difference(new Set(flags))
      }
    await this.command(`STORE ${set} ${mode}FLAGS${silent ? '.SILENT' : ''} (${flags.join(' ')})`)
  }

  /** What the server says when asked, after what was believed was found to agree with it. */
  async truth(): Promise<{ uid: number; flags: string[] }[]> {
    const before = this.messages.map(({ uid, flags }) => ({ uid, flags: flags && [...flags].sort() }))
    if (before.length > 0) await this.command('FETCH 1:* (UID FLAGS)')
    const truth = this.messages.map(({ uid, flags }) => ({ uid: uid!, flags: [...flags!].sort() }))
    for (const [index, believed] of before.entries()) {
      if (believed.uid !== undefined) expect(believed.uid).toBe(truth[index]!.uid)
      if (believed.flags !== undefined)
        expect(believed.flags, `message ${index + 1} of ${this.name}`).toEqual(truth[index]!.flags)
    }
    const uids = truth.map(({ uid }) => uid)
    expect(uids).toEqual([...uids].sort((a, b) => a - b))
    expect(truth.filter(({ flags }) => flags.includes('\\Recent')).length, 'RECENT').toBe(this.told.recent)
    return truth.map(({ uid, flags }) => ({ uid, flags: flags.filter((flag) => flag !== '\\Recent') }))
  }
}

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
      for (let round = 1; round <= rounds; round++) {
        await Promise.all(clients.map((client) => client.anything()))
        if (round % roundsPerCheck !== 0) continue
        for (const client of clients) await client.command('NOOP')
        const [a, b, c] = [await clients[0].truth(), await clients[1].truth(), await clients[2].truth()]
        expect(b).toEqual(a)
        expect(c).toEqual(a)
      }
      const claimed = clients.flatMap(({ recent }) => [...recent])
      expect(claimed.length, 'each UID is \\Recent in one session').toBe(new Set(claimed).size)
      expect(claimed.length).toBeGreaterThan(20)
      for (const { peer } of clients) peer.destroy()
      expect([...first.records, ...second.records].filter(({ severity }) => severity === 'err')).toEqual([])
    })
})
