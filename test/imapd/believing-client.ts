/** Clients that believe only what they were told, and fail when that does not fit together. */
import assert from 'node:assert/strict'
import { mulberry32 } from '../support/random.ts'
import { Peer, type Server } from './transcript.ts'

export type Random = (below: number) => number
export function randomOf(seed: number): Random {
  const random = mulberry32(seed)
  return (below) => Math.floor(random() * below)
}

export interface Believed {
  uid: number | undefined
  flags: Set<string> | undefined
}

/** Messages of one range: what a command costs is not what is tried here. */
const widest = 50
/** From here on few are marked \\Deleted, so that the mailbox stays large. */
const large = 100
const settable = ['\\Seen', '\\Flagged', '\\Deleted', '\\Answered', 'Work', '$Odd']

/** Numbers messages by what it was told. */
export class Client {
  readonly name: string
  peer: Peer
  readonly random: Random
  messages: Believed[] = []
  /** UIDs that were \Recent here. */
  readonly recent = new Set<number>()
  told: { readonly recent: number } = { recent: 0 }
  /** Given so far. */
  commands = 0
  #tag = 0
  #holds = false

  constructor(name: string, peer: Peer, random: Random) {
    this.name = name
    this.peer = peer
    this.random = random
  }

  async enter({ user, password }: Server): Promise<void> {
    await this.peer.line()
    await this.command(`LOGIN ${user} ${password}`)
  }

  async command(text: string): Promise<string> {
    this.commands += 1
    const tag = `${this.name}${++this.#tag}`
    this.#holds = /^(FETCH|STORE|SEARCH)\b/.test(text)
    await this.peer.send(`${tag} ${text}`)
    const lines = await this.peer.until(tag)
    for (const line of lines.slice(0, -1)) this.hear(line)
    const reply = lines.at(-1)!.slice(tag.length + 1)
    this.hearReply(reply)
    // A number is valid until its EXPUNGE was told: never BAD. What may fail is what others have removed.
    assert.match(reply, /^OK |^NO \[EXPUNGEISSUED\]/, `${text}: ${reply}`)
    return reply
  }

  protected hearReply(_reply: string): void {}

  protected hear(line: string): void {
    const [, digits, word, data] = /^\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(?: \(([\s\S]*)\))?$/.exec(line) ?? []
    const value = Number(digits)
    switch (word) {
      case 'EXISTS':
        assert.ok(value >= this.messages.length, 'EXISTS shrinks')
        while (this.messages.length < value) this.messages.push({ uid: undefined, flags: undefined })
        break
      case 'RECENT':
        this.told = { recent: value }
        break
      case 'EXPUNGE':
        assert.ok(!this.#holds, 'EXPUNGE while numbers are held')
        assert.ok(this.messages[value - 1] !== undefined, `EXPUNGE of ${value}`)
        this.messages.splice(value - 1, 1)
        break
      case 'FETCH':
        this.hearFetch(this.messages[value - 1], data!)
    }
  }

  protected hearFetch(message: Believed | undefined, data: string): void {
    if (message === undefined) throw new Error(`FETCH of a message that is not there: ${data}`)
    const uid = /\bUID (\d+)/.exec(data)?.[1]
    if (uid !== undefined) {
      if (message.uid !== undefined) assert.equal(Number(uid), message.uid, 'a number stands for one message')
      message.uid = Number(uid)
    }
    const flags = /\bFLAGS \(([^)]*)\)/.exec(data)?.[1]
    if (flags !== undefined) message.flags = new Set(flags === '' ? [] : flags.split(' '))
    if (message.uid !== undefined && message.flags?.has('\\Recent')) this.recent.add(message.uid)
  }

  /** A sequence set of up to three ranges within what is there, none very wide. */
  #set(): string {
    const count = this.messages.length
    const number = (from = 0) => 1 + from + this.random(Math.min(widest, count - from))
    const range = () => {
      const low = 1 + this.random(count)
      return `${number(low - 1)}:${low}`
    }
    return Array.from({ length: 1 + this.random(3) }, () =>
      this.random(2) === 0 ? 1 + this.random(count) : range(),
    ).join()
  }

  protected numbersOf(set: string): number[] {
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
    const flags = settable.filter(
      (flag) => this.random(flag === '\\Deleted' && this.messages.length > large ? 40 : 4) === 0,
    )
    const named = this.numbersOf(set).map((number) => this.messages[number - 1]!)
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
      if (believed.uid !== undefined) assert.equal(believed.uid, truth[index]!.uid)
      if (believed.flags !== undefined)
        assert.deepEqual(
          believed.flags,
          truth[index]!.flags,
          `message ${index + 1} of ${this.name}: ${believed.flags}, not ${truth[index]!.flags}`,
        )
    }
    const uids = truth.map(({ uid }) => uid)
    assert.deepEqual(
      uids,
      uids.toSorted((a, b) => a - b),
    )
    assert.equal(truth.filter(({ flags }) => flags.includes('\\Recent')).length, this.told.recent, 'RECENT')
    return truth.map(({ uid, flags }) => ({ uid, flags: flags.filter((flag) => flag !== '\\Recent') }))
  }
}

const withoutRecent = (flags: ReadonlySet<string>) => flags.difference(new Set(['\\Recent']))

/** Follows MODSEQs as RFC 7162 §6 says, loses its connection at times, and comes back with what it knows. */
export class ResyncingClient extends Client {
  highestModSeq = 0
  readonly #server: Server
  #uidValidity = 0
  /** Of the command at hand. */
  #code: number | undefined
  #seen = 0
  #gone: number[] = []

  constructor(name: string, peer: Peer, random: Random, server: Server) {
    super(name, peer, random)
    this.#server = server
  }

  override async enter(server: Server): Promise<void> {
    await super.enter(server)
    await this.command('ENABLE QRESYNC')
  }

  /** What EXISTS told of. */
  async learn(): Promise<void> {
    for (;;) {
      const unknown = this.messages.findIndex(({ flags }) => flags === undefined)
      if (unknown < 0) return
      await this.command(`UID FETCH ${(this.messages[unknown - 1]?.uid ?? 0) + 1}:* (FLAGS MODSEQ)`)
    }
  }

  #lastUid(): number {
    return this.messages.reduce((last, { uid }) => Math.max(last, uid ?? 0), 0)
  }

  /** The connection breaks, and the client goes on from what it was told so far. */
  async breakAndResync(): Promise<void> {
    await this.learn()
    const cache = new Map(this.messages.map(({ uid, flags }) => [uid!, withoutRecent(flags!)]))
    const last = this.#lastUid()
    this.peer.destroy()
    this.peer = await Peer.open(this.#server)
    this.messages = []
    await this.enter(this.#server)
    this.#gone = []
    const known = last === 0 ? '' : ` 1:${last}`
    await this.command(`SELECT INBOX (QRESYNC (${this.#uidValidity} ${this.highestModSeq}${known}))`)
    // Numbers only: flags are those of the cache, but for what SELECT told of.
    if (this.messages.length > 0) await this.command('UID FETCH 1:* (UID)')
    for (const uid of this.#gone) cache.delete(uid)
    const old = this.messages.filter(({ uid }) => uid !== undefined && uid <= last)
    assert.deepEqual(
      [...cache.keys()],
      old.map(({ uid }) => uid),
    )
    for (const message of old) message.flags ??= cache.get(message.uid!)
  }

  override async anything(): Promise<void> {
    await this.learn()
    if (this.random(8) === 0) await this.breakAndResync()
    else await super.anything()
  }

  protected override hear(line: string): void {
    const [, earlier, set] = /^\* VANISHED (\(EARLIER\) )?([\d:,]+)$/.exec(line) ?? []
    if (set !== undefined) this.#hearVanished(set, earlier !== undefined)
    this.#hearCode(line)
    this.#uidValidity = Number(/\[UIDVALIDITY (\d+)\]/.exec(line)?.[1] ?? this.#uidValidity)
    assert.doesNotMatch(line, /^\* \d+ EXPUNGE/)
    super.hear(line)
  }

  #hearVanished(set: string, earlier: boolean): void {
    for (const uid of this.numbersOf(set)) {
      this.#gone.push(uid)
      if (!earlier) {
        const known = this.messages.findIndex((message) => message.uid === uid)
        // One that the client did not ask for yet lies between those that it knows.
        const above = this.messages.findIndex((message) => message.uid !== undefined && message.uid > uid)
        const at = known >= 0 ? known : (above < 0 ? this.messages.length : above) - 1
        assert.ok(
          at === known || this.messages[at]?.uid === undefined,
          `VANISHED ${uid} of a message that is not there`,
        )
        assert.ok(at >= 0, `VANISHED ${uid} in an empty mailbox`)
        this.messages.splice(at, 1)
      }
    }
  }

  #hearCode(line: string): void {
    const told = /\[HIGHESTMODSEQ (\d+)\]/.exec(line)?.[1]
    if (told !== undefined) this.#code = Number(told)
  }

  protected override hearFetch(message: Believed | undefined, data: string): void {
    super.hearFetch(message, data)
    this.#seen = Math.max(this.#seen, Number(/\bMODSEQ \((\d+)\)/.exec(data)?.[1] ?? 0))
  }

  protected override hearReply(reply: string): void {
    this.#hearCode(reply)
    this.highestModSeq = this.#code ?? Math.max(this.highestModSeq, this.#seen)
    this.#code = undefined
    this.#seen = 0
  }
}
