/**
 * What is not the same on both sides, by what a way back would do about it. Changes neither. Octets are read where something was put there since
 * `putThere`, and where sizes differ. docs/decisions/0276-the-way-back.md
 */
import { createHash } from 'node:crypto'
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { Slice } from '#gateway/backend/slice.ts'
import type { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { readBelonging } from '#gateway/sync/imap/belonging.ts'
import { BackendMemory, type KnownPair } from '#gateway/sync/imap/memory.ts'
import { isStub } from '#gateway/sync/stub.ts'
import type { Compared, DifferenceKind, RollbackDifference } from '#src/auth/rollback-questions.ts'
import type { MailboxId, UserId } from '#src/base/ids.ts'
import type { UserBackends } from '#src/config/backends.ts'
import { copySource } from '#src/store/copy-origin.ts'
import type { Flag, Mailbox } from '#src/store/types.ts'
import { differencesOf } from '../proof/entry.ts'
import { Here, type Standing } from '../proof/here.ts'
import { isPop3, lookThere } from '../proof/sides.ts'
import type { MailboxThere } from '../proof/there.ts'

export interface CompareRequest {
  readonly gateway: Gateway
  readonly userId: UserId
  readonly backends: UserBackends
  /** Of the user, at the old server; undefined: the records have what is needed. */
  readonly password: Buffer | undefined
  /** UIDNEXT by `place`, of an earlier look: messages from there on were put there since. Undefined: nothing was. */
  readonly putThere: ReadonlyMap<string, number> | undefined
  readonly signal: AbortSignal
}

export interface Look {
  readonly compared: Compared
  /** By `place`, of the mailboxes there. */
  readonly uidNext: ReadonlyMap<string, number>
  /** Ids here, of the mailboxes there. */
  readonly paths: ReadonlyMap<string, MailboxId | undefined>
}

const toldDifferences = 100

type Present = Exclude<Standing, { readonly exception: unknown }>

/** Throws BackendError, StoreError. */
export const compareSides = async (request: CompareRequest): Promise<Look> => {
  const account = request.gateway.store.account(request.userId)
  await using here = await Here.open(account, request.gateway.access.limits)
  return await new Comparison(request, here).run()
}

class Comparison {
  readonly #request: CompareRequest
  readonly #here: Here
  /** By position: there is one there for it. */
  readonly #met = new Map<Mailbox, Uint8Array>()
  readonly #counts = new Map<DifferenceKind, number>()
  readonly #told: RollbackDifference[] = []
  readonly #uidNext = new Map<string, number>()
  readonly #paths = new Map<string, MailboxId | undefined>()
  #messagesThere = 0
  #subscribed: ReadonlySet<string> = new Set()

  constructor(request: CompareRequest, here: Here) {
    this.#request = request
    this.#here = here
    for (const mailbox of here.mailboxes) this.#met.set(mailbox, new Uint8Array(mailbox.messages.length))
  }

  async run(): Promise<Look> {
    const { gateway, userId, backends, password, signal } = this.#request
    const here = this.#here
    const { account } = here
    this.#subscribed = new Set(await account.subscriptions())
    const all = [backends.master, ...backends.extra]
    const urls: string[] = []
    const takers: ((mailbox: Mailbox) => boolean)[] = []
    const { inboxOnly } = gateway.policy
    for (const backend of all) {
      const pairs = isPop3(backend) ? [] : (await new BackendMemory(account, backendUrl(backend, userId)).tree()).pairs
      await lookThere({ gateway, userId, backend, password, here, signal }, async (there) => {
        urls.push(there.url)
        for await (const mailbox of there.mailboxes()) {
          // The others were never brought here.
          if (inboxOnly && mailbox.path.toUpperCase() !== 'INBOX') continue
          const standingAt = await here.standings(mailbox, there.url, isPop3(backend))
          await this.#mailbox(there.url, mailbox, pairs, standingAt)
        }
      })
      if (isPop3(backend)) continue
      const others = all.filter((other) => other !== backend)
      const { isOurs, elsewhere } = await readBelonging(account, userId, backend.mailbox, others, inboxOnly)
      const paired = new Set(pairs.map(({ idHere }) => idHere))
      takers.push(({ id, name }) => paired.has(id) || (!inboxOnly && isOurs(name) && !elsewhere.has(id)))
    }
    for (const mailbox of here.mailboxes)
      await this.#extra(
        mailbox,
        urls,
        takers.some((takes) => takes(mailbox)),
      )
    return {
      uidNext: this.#uidNext,
      paths: this.#paths,
      compared: {
        here: { mailboxes: here.mailboxes.length, messages: here.messages },
        there: { mailboxes: this.#paths.size, messages: this.#messagesThere },
        differing: Object.fromEntries(this.#counts),
        differences: this.#told,
      },
    }
  }

  #find(difference: RollbackDifference): void {
    this.#counts.set(difference.kind, (this.#counts.get(difference.kind) ?? 0) + 1)
    if (this.#told.length < toldDifferences) this.#told.push(difference)
  }

  async #mailbox(
    url: string,
    there: MailboxThere,
    pairs: readonly KnownPair[],
    standingAt: (position: number) => Standing,
  ): Promise<void> {
    const { path: from, idHere, messages } = there
    const place = placeOf(url, from)
    this.#paths.set(place, idHere)
    this.#messagesThere += messages.length
    if (there.uidNext !== undefined) this.#uidNext.set(place, there.uidNext)
    if (idHere === undefined) return this.#find({ kind: 'mailbox-missing-here', from })
    const like = this.#here.byId(idHere)
    if (like === undefined) return this.#find({ kind: 'mailbox-removed-here', from })
    const { name: mailbox } = like
    const pair = pairs.find(({ path }) => path === from)
    if (pair !== undefined && (pair.name !== mailbox || pair.isStuck === true))
      this.#find({ kind: 'mailbox-name', mailbox, from })
    // A new account here begins with a subscription to INBOX.
    if (there.subscribed !== undefined && there.subscribed !== this.#subscribed.has(mailbox) && mailbox !== 'INBOX')
      this.#find({ kind: 'subscription', mailbox, from })
    const keptKeywords = new Set<string>()
    for (let position = 0; position < messages.length; position++)
      for (const flag of messages.flagsAt(position) ?? []) keptKeywords.add(flag.toLowerCase())
    const slice = new Slice()
    const putFrom = this.#request.putThere === undefined ? Infinity : (this.#request.putThere.get(place) ?? 0)
    const unread: { readonly position: number; readonly standing: Present }[] = []
    for (let position = 0; position < messages.length; position++) {
      if (slice.isOver()) await slice.next()
      const standing = standingAt(position)
      const uidThere = messages.uidAt(position)
      const at = uidThere === undefined ? { from } : { from, uidThere }
      if ('exception' in standing) {
        if (standing.exception === 'deleted-here') this.#find({ kind: 'deleted-here', mailbox, ...at })
        continue
      }
      const { record } = standing
      this.#met.get(standing.mailbox)![standing.mailbox.messages.positionOf(record.uid)] = 1
      const place = { mailbox: standing.mailbox.name, uid: record.uid, ...at }
      if (standing.mailbox !== like) {
        this.#find({ kind: 'moved-here', ...place })
        continue
      }
      const differs = differencesOf(there, position, standing)
      if (differs.includes('flags')) {
        // Before anything was carried nobody knows what is kept.
        const isKept =
          this.#request.putThere === undefined ||
          isKeptThere(messages.flagsAt(position) ?? [], record.flags, keptKeywords)
        this.#find({ kind: isKept ? 'flags' : 'keyword-not-kept', ...place })
      }
      if (differs.includes('date')) this.#find({ kind: 'date', ...place })
      if (differs.includes('size') || (uidThere ?? 0) >= putFrom) unread.push({ position, standing })
    }
    await this.#octets(there, unread)
  }

  async #octets(
    there: MailboxThere,
    unread: readonly { readonly position: number; readonly standing: Present }[],
  ): Promise<void> {
    if (unread.length === 0) return
    const left = new Map(unread.map(({ position, standing }) => [position, standing]))
    await there.bodies(
      unread.map(({ position }) => position),
      (position) => {
        this.#request.signal.throwIfAborted()
        const digest = createHash('sha256')
        return {
          write: (chunk) => {
            digest.update(chunk)
          },
          end: () => {
            const standing = left.get(position)
            if (standing !== undefined && digest.digest('base64url') === (standing.original ?? standing.record.digest))
              left.delete(position)
          },
          abort: () => {},
        }
      },
      () => {},
    )
    for (const [position, { mailbox, record }] of left) {
      const uidThere = there.messages.uidAt(position)
      const at = { kind: 'octets', mailbox: mailbox.name, uid: record.uid, from: there.path } as const
      this.#find(uidThere === undefined ? at : { ...at, uidThere })
    }
  }

  async #extra(mailbox: Mailbox, urls: readonly string[], isTaken: boolean): Promise<void> {
    const { name, messages } = mailbox
    const isThere = [...this.#paths.values()].includes(mailbox.id)
    if (isTaken && !isThere) this.#find({ kind: 'mailbox-missing-there', mailbox: name })
    const met = this.#met.get(mailbox)!
    const slice = new Slice()
    for (let position = 0; position < met.length; position++) {
      if (slice.isOver()) await slice.next()
      const origin = messages.originAt(position)
      if (met[position] === 1 || !messages.isHereAt(position) || (origin !== undefined && isStub(origin))) continue
      const kind = kindOf(origin, urls, this.#here)
      this.#find({
        kind: isTaken || kind === 'gone-there' ? kind : 'not-carried',
        mailbox: name,
        uid: messages.uidAt(position),
      })
    }
  }
}

const placeOf = (url: string, path: string): string => `${url} ${path}`

const kindOf = (origin: string | undefined, urls: readonly string[], here: Here): DifferenceKind => {
  if (origin === undefined) return 'missing-there'
  const source = copySource(origin)
  if (source !== undefined)
    return here.byId(source.mailboxId)?.byOrigin(source.origin)?.present === true
      ? 'copy-missing-there'
      : 'missing-there'
  return urls.some((url) => origin.startsWith(url)) ? 'gone-there' : 'missing-there'
}

/** Whether a difference is one that the old server could be free of: flags there, system flags, or keywords that it keeps for others. */
const isKeptThere = (there: readonly Flag[], here: ReadonlySet<Flag>, kept: ReadonlySet<string>): boolean => {
  const [lowThere, lowHere] = [there, [...here]].map((flags) => new Set(flags.map((flag) => flag.toLowerCase())))
  const onlyHere = [...lowHere!.difference(lowThere!)]
  return lowThere!.difference(lowHere!).size > 0 || onlyHere.some((flag) => flag.startsWith('\\') || kept.has(flag))
}
