/** FETCH, RFC 3501 §6.4.5, and what changed since, RFC 7162 §3.1.4, §3.2.6: responses in ascending order, bodies streamed, \Seen set by one commit at the end. */

import { StoreError } from '../../base/errors.ts'
import type { ModSeq, Uid } from '../../base/ids.ts'
import { formatBodyStructure } from '../../proto/imap/body-structure.ts'
import { formatDateTime } from '../../proto/imap/date-time.ts'
import { formatEnvelope } from '../../proto/imap/envelope.ts'
import { type FetchItem, type FetchOctetsItem, readFetchArgs } from '../../proto/imap/fetch.ts'
import { FetchResponse } from '../../proto/imap/fetch-response.ts'
import { partOf } from '../../proto/imap/search-return.ts'
import { formatNstring } from '../../proto/imap/strings.ts'
import { Disconnected } from '../../server/client-octets.ts'
import { FlagText } from '../announce.ts'
import { type Body, Budget, Prepared, type WantedSection } from '../bodies.ts'
import { command, selected } from '../command.ts'
import type { DecodedBody } from '../decoded-body.ts'
import { withoutNul } from '../nul.ts'
import { emailObjectId } from '../object-id.ts'
import { Refusal } from '../replies.ts'
import { writeVanishedEarlier } from '../resync.ts'
import type { Session } from '../session.ts'
import { Slice } from '../slice.ts'

/** Messages that are read together, while those before them are written. */
const readTogether = 16
/** Messages that are fetched from an old server together: the page of a list that a client shows. */
const broughtAtOnce = 48
/** Body sections of one command: far more than a message has parts that anybody looks at. */
const maxSections = 1000

export const fetch = command({
  name: 'FETCH',
  states: selected,
  uid: true,
  holdsNumbers: true,
  looks: 'always',
  capabilities: () => ['BINARY', 'PARTIAL', 'PREVIEW', 'SAVEDATE'],
  parse: readFetchArgs,
  async run(session, { set, items, changedSince, vanished, partial }, { uid }) {
    const withUid: readonly FetchItem[] = [{ item: 'UID' }, ...items.filter(({ item }) => item !== 'UID')]
    const sections = items.filter(isOfOctets).length
    if (sections > maxSections) throw new Refusal('NO', 'LIMIT', `At most ${maxSections} body sections in one FETCH`)
    if (vanished && !uid) throw new Refusal('BAD', undefined, 'VANISHED is for UID FETCH')
    if (partial !== undefined && !uid) throw new Refusal('BAD', undefined, 'PARTIAL is for UID FETCH')
    if (vanished && !session.enabled.has('QRESYNC')) throw new Refusal('BAD', undefined, 'ENABLE QRESYNC first')
    const { view, output } = session
    if (items.some(({ item }) => item === 'MODSEQ')) session.enable('CONDSTORE')
    if (vanished) await writeVanishedEarlier(view, changedSince as ModSeq, set, output)
    const answer = new Answer(session, uid ? withUid : items, uid)
    const chosen = partial === undefined ? view.positions(set, uid) : partOf([...view.positions(set, uid)], partial)
    if (changedSince === undefined) await answer.give(chosen)
    else {
      const changed = await view.changedSince(changedSince as ModSeq, set, uid)
      await answer.give(partial === undefined ? changed : within(changed, chosen as readonly number[]))
    }
    return undefined
  },
})

/** What the client asked for beforehand of messages that come: each named with its UID. RFC 5465 §5.2 */
export async function giveItems(
  session: Session,
  positions: readonly number[],
  items: readonly FetchItem[],
): Promise<void> {
  await new Answer(session, items, true).give(positions)
}

/** Of positions of the same set, ascending, those that lie in a part of it. RFC 9394 §3.4 */
const within = (positions: readonly number[], part: readonly number[]): readonly number[] =>
  positions.filter((position) => part.length > 0 && position >= part[0]! && position <= part.at(-1)!)

/** What is read ahead for it: of what is decoded, all that it is decoded from. */
const wanted = (item: FetchOctetsItem): WantedSection =>
  item.item === 'section' ? item : { section: item.section, partial: undefined }

const ofSummary: ReadonlySet<FetchItem['item']> = new Set(['ENVELOPE', 'BODY', 'BODYSTRUCTURE'])

const isOfOctets = (item: FetchItem): item is FetchOctetsItem => 'section' in item

/** A failure is a value here: it belongs to its message, whose turn comes later. */
type Outcome = { readonly prepared: Prepared; readonly preview: string | undefined } | { readonly error: unknown }

interface Waiting {
  readonly position: number
  readonly outcome: Promise<Outcome>
}

function* inGroups(positions: Iterable<number>): Iterable<readonly number[]> {
  let group: number[] = []
  for (const position of positions) {
    group.push(position)
    if (group.length < broughtAtOnce) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

class Answer {
  readonly #session: Session
  readonly #items: readonly FetchItem[]
  readonly #uid: boolean
  readonly #sections: readonly FetchOctetsItem[]
  readonly #needsSummary: boolean
  /** Made where it is not at hand. */
  readonly #needsPreview: boolean
  /** What is told without a look into messages needs their octets to have come. */
  readonly #needsOctets: boolean
  readonly #setsSeen: boolean
  readonly #flagText: FlagText
  readonly #slice = new Slice()
  readonly #budget = new Budget()
  readonly #seen: Uid[] = []
  #failure: StoreError | Refusal | undefined
  /** The old server does not give what is still there: it is not asked again by this command. */
  #isAway = false

  /** `uid`: the messages were named by UID. */
  constructor(session: Session, items: readonly FetchItem[], uid: boolean) {
    this.#session = session
    this.#uid = uid
    this.#items = items
    this.#sections = items.filter(isOfOctets)
    this.#needsPreview = items.some((item) => item.item === 'preview' && !item.lazy)
    this.#needsSummary = this.#needsPreview || items.some(({ item }) => ofSummary.has(item))
    this.#needsOctets = items.some(({ item }) => item === 'EMAILID')
    this.#setsSeen = session.view.mayChange('\\Seen') && this.#sections.some((item) => 'peek' in item && !item.peek)
    this.#flagText = new FlagText(session.view)
  }

  /** Throws StoreError, at the end, when some messages could not be read. */
  async give(positions: Iterable<number>): Promise<void> {
    if (this.#needsSummary || this.#sections.length > 0) await this.#fromStore(positions)
    else await this.#fromRecords(positions)
    await this.#setSeen()
    if (this.#failure !== undefined) throw this.#failure
  }

  async #fromRecords(positions: Iterable<number>): Promise<void> {
    const { view } = this.#session
    for (const together of this.#needsOctets ? inGroups(positions) : [positions]) {
      if (this.#needsOctets) await this.#bring([...together])
      for (const position of together) {
        if (this.#needsOctets && !view.recordNow(position).isHere)
          this.#leaveOut(position, new StoreError('away', 'not here'))
        else await this.#write(position)
        if (this.#slice.isOver()) await this.#slice.next()
      }
    }
  }

  async #fromStore(positions: Iterable<number>): Promise<void> {
    const waiting: Waiting[] = []
    try {
      for (const together of inGroups(positions)) {
        await this.#bring(together)
        for (let at = 0; at < together.length; at += readTogether) {
          for (const position of together.slice(at, at + readTogether))
            waiting.push({ position, outcome: this.#prepare(position) })
          while (waiting.length > readTogether) {
            await this.#one(waiting.shift()!)
            if (this.#slice.isOver()) await this.#slice.next()
          }
        }
      }
      while (waiting.length > 0) await this.#one(waiting.shift()!)
    } finally {
      for (const { outcome } of waiting) {
        const ready = await outcome
        if ('prepared' in ready) await ready.prepared[Symbol.asyncDispose]()
      }
    }
  }

  /** Has fetched what is announced and has not come, before it is read. */
  async #bring(positions: readonly number[]): Promise<void> {
    const { view } = this.#session
    const uids = positions.filter((position) => !view.isHereAt(position)).map((position) => view.uidAt(position))
    if (uids.length === 0 || this.#isAway) return
    try {
      await view.mailbox.bring(uids)
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'away')) throw error
      this.#isAway = true
      this.#session.log.log('warning', 'messages of an old server can not be fetched for a client', {
        mailbox: view.mailbox.name,
        reason: error.cause instanceof Error ? error.cause.message : error.message,
      })
    }
  }

  async #prepare(position: number): Promise<Outcome> {
    const { view } = this.#session
    try {
      const record = view.recordNow(position)
      if (!record.isHere) return { error: new StoreError('away', 'not here') }
      const preview = this.#needsPreview ? await view.mailbox.preview(record) : undefined
      const { mailbox } = view
      return {
        prepared: await Prepared.of(mailbox, record, this.#needsSummary, this.#sections.map(wanted), this.#budget),
        preview,
      }
    } catch (error) {
      return { error }
    }
  }

  async #one({ position, outcome }: Waiting): Promise<void> {
    const ready = await outcome
    if ('error' in ready) {
      if (!(ready.error instanceof StoreError)) throw ready.error
      this.#leaveOut(position, ready.error)
      return
    }
    try {
      const { prepared, preview } = ready
      // Before a word of the response is written. RFC 3516 §4.3
      if (this.#sections.some((item) => item.item !== 'section' && !prepared.isDecodable(wanted(item)))) {
        this.#failure ??= new Refusal('NO', 'UNKNOWN-CTE', 'A Content-Transfer-Encoding is unknown; fetch BODY instead')
        return
      }
      await this.#write(position, prepared, preview)
    } finally {
      await ready.prepared[Symbol.asyncDispose]()
    }
    const { view } = this.#session
    if (this.#setsSeen && !view.flagsAt(position).has('\\Seen')) this.#seen.push(view.uidAt(position))
  }

  #leaveOut(position: number, error: StoreError): void {
    const uid = this.#session.view.uidAt(position)
    // A UID that is not there any more is passed over. RFC 3501 §6.4.8
    if (error.kind === 'expunged' && this.#uid) return
    this.#failure ??= error
    if (error.kind === 'expunged' || error.kind === 'away') return
    this.#session.log.log('err', 'message can not be read', {
      mailbox: this.#session.view.mailbox.name,
      uid,
      reason: error.kind,
      cause: error.message,
    })
    this.#session.untagged('NO', `Message ${position + 1} (UID ${uid}) can not be read and is left out`)
  }

  async #write(position: number, prepared?: Prepared, preview?: string): Promise<void> {
    const { view, output } = this.#session
    const response = new FetchResponse((octets) => output.write(octets), position + 1)
    for (const item of this.#items) {
      switch (item.item) {
        case 'FLAGS':
          response.item('FLAGS', this.#flagText.of(position))
          view.flagsTold(position)
          break
        case 'MODSEQ':
          response.item('MODSEQ', `(${view.modSeqAt(position)})`)
          view.modSeqTold(position)
          break
        case 'UID':
          response.item('UID', String(view.uidAt(position)))
          break
        case 'INTERNALDATE':
          response.item('INTERNALDATE', formatDateTime(view.internalDateAt(position)))
          break
        case 'SAVEDATE': {
          const savedDate = view.savedDateAt(position)
          response.item('SAVEDATE', savedDate === undefined ? 'NIL' : formatDateTime(savedDate))
          break
        }
        case 'RFC822.SIZE':
          response.item('RFC822.SIZE', String(prepared?.sizeOctets ?? view.sizeAt(position)))
          break
        case 'EMAILID':
          response.item('EMAILID', `(${emailObjectId(view.recordNow(position))})`)
          break
        case 'THREADID':
          response.nil('THREADID')
          break
        case 'ENVELOPE':
          response.item('ENVELOPE', formatEnvelope(prepared!.summary!.root.envelope!))
          break
        case 'BODY':
          response.item('BODY', formatBodyStructure(prepared!.summary!.root, { extended: false }))
          break
        case 'BODYSTRUCTURE':
          response.item('BODYSTRUCTURE', formatBodyStructure(prepared!.summary!.root, { extended: true }))
          break
        case 'preview':
          response.item('PREVIEW', formatPreview(preview ?? (await this.#cachedPreview(position))))
          break
        case 'section':
          await this.#octets(response, item, () => prepared!.body(item))
          break
        case 'binary':
          await this.#octets(response, item, () => prepared!.decoded(item))
          break
        case 'binary-size':
          response.item(
            item.label,
            String((await this.#readable(() => prepared!.decoded(wanted(item))))?.sizeOctets ?? 0),
          )
          break
      }
    }
    response.end()
    await output.flow()
  }

  /** RFC 8970 §4.1 */
  async #cachedPreview(position: number): Promise<string | undefined> {
    const { view } = this.#session
    const record = view.recordNow(position)
    return record.isHere ? await view.mailbox.preview(record, { onlyCached: true }) : undefined
  }

  /** `open`: undefined for a section that is not there. */
  async #octets(
    response: FetchResponse,
    { label }: FetchOctetsItem,
    open: () => Promise<Body | DecodedBody | undefined>,
  ): Promise<void> {
    await this.#readable(async () => {
      const body = await open()
      if (body === undefined) return response.nil(label)
      const binary = 'hasNul' in body && body.hasNul
      response.literal(label, body.sizeOctets, { binary })
      for await (const chunk of body.chunks) {
        response.octets(binary ? chunk : withoutNul(chunk))
        await this.#session.output.flow()
      }
      if (response.literalLeft > 0) throw new StoreError('damaged', 'a message ended before its size')
    })
    if (this.#slice.isOver()) await this.#slice.next()
  }

  /** Reads of a message in the middle of its response. */
  async #readable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      // The client waits for the rest of the response and would take anything else for it: only closing tells it.
      const { mailbox } = this.#session.view
      this.#session.log.log('err', 'message can not be read to its end', {
        mailbox: mailbox.name,
        cause: error.message,
      })
      throw new Disconnected('in the middle of a message')
    }
  }

  /** A store that can't be written to must not keep anybody from reading: then nothing is marked, and nothing is told. */
  async #setSeen(): Promise<void> {
    if (this.#seen.length === 0) return
    try {
      await this.#session.view.mailbox.changeFlags({ uids: this.#seen, mode: 'add', flags: ['\\Seen'] })
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'unavailable')) throw error
      this.#session.log.log('err', 'could not mark messages \\Seen', { cause: error.message })
    }
  }
}

const formatPreview = (preview: string | undefined) =>
  formatNstring(preview === undefined ? undefined : Buffer.from(preview).toString('latin1'))
