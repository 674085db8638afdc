/** What the workers said, and what of it contradicts itself. */

import type { Key, Told } from './told.ts'

export class Ledger {
  readonly digests = new Map<Key, string>()
  /** Acknowledged or shown, so it has to be there unless somebody was about to expunge it. */
  readonly leaving = new Set<Key>()
  readonly expunged = new Set<Key>()
  readonly expungedDigests = new Set<string>()
  readonly vanished = new Set<Key>()
  readonly modSeqs = new Map<Key, number>()
  /** Highest that any reader was told. */
  readonly highest = new Map<string, { modSeq: number; uidNext: number }>()
  /** Mailboxes that workers made: by name the id, undefined while it is being removed or was. */
  readonly created = new Map<string, string | undefined>()
  readonly removing = new Set<string>()
  readonly removed = new Set<string>()
  readonly faults: string[] = []
  readonly refused = new Map<string, number>()
  readonly steps = new Map<string, number>()
  delivered = 0
  private readonly origins = new Map<string, Key>()
  private readonly states = new Map<string, Map<number, string>>()
  private readonly wins = new Set<string>()
  private readonly recent = new Map<string, (readonly [after: number, upTo: number])[]>()

  take(told: Told): void {
    switch (told[0]) {
      case 'delivered': {
        const [, key, digest, origin] = told
        this.delivered += 1
        if (this.digests.get(key) === digest && origin === null) this.fault(`${key} was given twice`)
        this.shown(key, digest)
        if (origin !== null) this.hasOrigin(key, origin)
        break
      }
      case 'duplicate':
        this.hasOrigin(told[1], told[2])
        break
      case 'saw':
      case 'copied':
        this.shown(told[1], told[2])
        break
      case 'expunging':
      case 'moving':
        for (const key of told[1]) this.leaving.add(key)
        if (told[0] === 'expunging') for (const digest of told[2]) this.expungedDigests.add(digest)
        break
      case 'expunged':
        for (const key of told[1]) this.expunged.add(key)
        break
      case 'vanished':
        for (const key of told[1]) this.vanished.add(key)
        break
      case 'state':
        this.agree(...told)
        break
      case 'flagged':
        this.modSeqs.set(told[1], Math.max(told[2], this.modSeqs.get(told[1]) ?? 0))
        break
      case 'won': {
        const win = `${told[1]} as of ${told[2]}`
        if (this.wins.has(win)) this.fault(`${win} was changed conditionally by two`)
        this.wins.add(win)
        break
      }
      case 'recent':
        this.claim(told[1], told[2], told[3])
        break
      case 'created':
        this.created.set(told[1], told[2])
        break
      case 'removing':
        this.created.delete(told[1])
        this.removing.add(told[2])
        break
      case 'removed':
        this.removed.add(told[2])
        break
      case 'does':
        break
      case 'did':
        this.steps.set(told[1], 1 + (this.steps.get(told[1]) ?? 0))
        break
      case 'refused':
        this.refused.set(`${told[1]}: ${told[2]}`, 1 + (this.refused.get(`${told[1]}: ${told[2]}`) ?? 0))
        break
      case 'fault':
        this.fault(told[1])
        break
    }
  }

  fault(what: string): void {
    this.faults.push(what)
  }

  private shown(key: Key, digest: string): void {
    if ((this.digests.get(key) ?? digest) !== digest) this.fault(`${key} was shown with two contents`)
    this.digests.set(key, digest)
  }

  /** An origin has one UID in a mailbox, for ever. */
  private hasOrigin(key: Key, origin: string): void {
    const place = `${key.slice(0, key.indexOf('/'))} ${origin}`
    const known = this.origins.get(place)
    if (known !== undefined && known !== key) this.fault(`${origin} was stored as ${known} and as ${key}`)
    this.origins.set(place, key)
  }

  private agree(_: 'state', id: string, modSeq: number, uidNext: number, count: number, hash: number): void {
    const state = `${count} messages, UIDNEXT ${uidNext}, hash ${hash}`
    const states = this.states.get(id) ?? new Map<number, string>()
    this.states.set(id, states)
    const other = states.get(modSeq) ?? state
    if (other !== state) this.fault(`two readers of ${id} at MODSEQ ${modSeq}: ${state}; ${other}`)
    states.set(modSeq, state)
    const highest = this.highest.get(id)
    this.highest.set(id, {
      modSeq: Math.max(modSeq, highest?.modSeq ?? 0),
      uidNext: Math.max(uidNext, highest?.uidNext ?? 0),
    })
  }

  private claim(id: string, after: number, upTo: number): void {
    const claims = this.recent.get(id) ?? []
    if (claims.some(([from, to]) => after < to && from < upTo))
      this.fault(`${id}: UIDs ${after + 1} to ${upTo} were \\Recent to two`)
    this.recent.set(id, [...claims, [after, upTo]])
  }
}
