/**
 * Many messages in one go: UID FETCH of sets, several commands ahead of the answers, bodies streamed to where they are stored. RFC 9051 §6.4.8.
 * imapflow sends one command after the other and holds each message in memory, so the bulk goes past it, on a connection of its own.
 */
import { setTimeout } from 'node:timers/promises'
import type { Uid } from '#src/base/ids.ts'
import { formatUids, sortedUids } from '#src/store/uid-set.ts'
import { BackendError, type BackendErrorKind } from '../errors.ts'
import { classifyRefusal } from '../reply-classifier.ts'
import type { BodySink } from '../types.ts'
import { type ImapConnection, isSlowed, type Status } from './connection.ts'
import type { Part } from './response-reader.ts'
import { parseValues, type Value } from './values.ts'

/** What comes with a message. */
export interface MessageFacts {
  readonly uid: Uid
  /** As the server spells them; \Recent is left out. */
  readonly flags: readonly string[]
  /** INTERNALDATE, seconds since 1970; undefined when the server told none that makes sense. */
  readonly internalDate: number | undefined
}

export interface BulkRequest {
  /** Of the selected mailbox, in the order in which they are wanted. */
  readonly uids: readonly Uid[]
  /** Messages asked for by one command (GW-19: backend_fetch_set_size). */
  readonly setSize: number
  /** Called when a message begins to arrive. */
  open(message: MessageFacts): BodySink
  /** The server would not give this one, or gave nothing. */
  refused(uid: Uid, error: BackendError): void
  /** Waited for before each command: others go before. */
  readonly rest?: (() => Promise<void>) | undefined
}

/** Commands sent before the first of them is answered: as many messages as fill the way there and back. */
const aheadMessages = 512
const firstPauseMs = 50
const longestPauseMs = 16_000
const stepMs = 200
const items = '(UID FLAGS INTERNALDATE BODY.PEEK[])'

/** Resolves when every message was given or refused. Throws BackendError when the session is lost. */
export async function fetchBodies(connection: ImapConnection, request: BulkRequest): Promise<void> {
  const sets: (readonly Uid[])[] = []
  for (let at = 0; at < request.uids.length; at += request.setSize)
    sets.push(request.uids.slice(at, at + request.setSize))
  const ahead = Math.max(2, Math.ceil(aheadMessages / request.setSize))
  // One for all: a server may give messages of a later command before it ends an earlier one.
  const answers = new FetchAnswers(new Set(request.uids), request)
  let next = 0
  let failed: unknown
  const work = async () => {
    for (let set = sets[next++]; set !== undefined && failed === undefined; set = sets[next++]) {
      try {
        await answers.pace.wait(connection)
        await request.rest?.()
        await fetchSet(connection, set, request, answers)
      } catch (error) {
        failed ??= error
      }
    }
  }
  await Promise.all(Array.from({ length: ahead }, work))
  if (failed !== undefined) throw failed
}

/** A server that says that it answers slower is asked slower, until it stops to say so. Dovecot's imapc has the same times. */
class Pace {
  #pauseMs = 0

  answered(status: Status): void {
    if (isSlowed(status)) this.#pauseMs = Math.min(Math.max(firstPauseMs, 2 * this.#pauseMs), longestPauseMs)
    else this.#pauseMs = this.#pauseMs <= firstPauseMs ? 0 : this.#pauseMs / 2
  }

  /** Whoever ends the session does not wait for this. */
  async wait(connection: ImapConnection): Promise<void> {
    for (let leftMs = this.#pauseMs; leftMs > 0 && connection.failure === undefined; leftMs -= stepMs)
      await setTimeout(Math.min(leftMs, stepMs))
  }
}

/** One command. Where the server refuses a set, or leaves messages out, they are asked for in halves: one bad message must not cost its neighbours. */
async function fetchSet(
  connection: ImapConnection,
  uids: readonly Uid[],
  request: BulkRequest,
  answers: FetchAnswers,
): Promise<void> {
  const status = await connection.run({
    words: [`UID FETCH ${formatUids(sortedUids(uids))} ${items}`],
    untagged: (parts) => answers.take(parts),
    literal: (before) => answers.sinkFor(before),
  })
  answers.pace.answered(status)
  await answers.settled()
  // A server that asks for less is not asked for each message by itself.
  const refused = status.condition === 'OK' ? undefined : refusal(status, false)
  if (refused !== undefined && asksForLess.has(refused.kind)) throw refused
  const missing = uids.filter((uid) => answers.wanted.has(uid))
  if (missing.length === 0) return
  if (missing.length === 1) {
    request.refused(missing[0]!, refusal(status, answers.empty.has(missing[0]!)))
    return
  }
  // What is gone is left out too, and not asked for again one by one.
  if (status.condition === 'OK' && !missing.some((uid) => answers.empty.has(uid))) {
    for (const uid of missing) request.refused(uid, refusal(status, false))
    return
  }
  const half = missing.length >>> 1
  await fetchSet(connection, missing.slice(0, half), request, answers)
  await fetchSet(connection, missing.slice(half), request, answers)
}

const asksForLess: ReadonlySet<BackendErrorKind> = new Set(['throttled', 'login-delay', 'in-use', 'needs-consent'])

function refusal(status: Status, empty: boolean): BackendError {
  if (status.condition === 'OK')
    return empty
      ? new BackendError('permanent', 'the backend gave a message without octets')
      : new BackendError('gone', 'the backend did not give a message that it lists')
  const code = status.code === undefined ? '' : `[${status.code}] `
  const { kind, text, retryAfterMs } = classifyRefusal(code + status.text, 'transaction')
  return new BackendError(kind, 'the backend refused a message', {
    serverText: text,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

/** The FETCH responses to all commands. RFC 9051 §7.5.2 */
class FetchAnswers {
  readonly pace = new Pace()
  /** Not given so far. */
  readonly wanted: Set<Uid>
  /** Answered, but without a body. */
  readonly empty = new Set<Uid>()
  readonly #request: BulkRequest
  readonly #taking: Promise<void>[] = []

  constructor(wanted: Set<Uid>, request: BulkRequest) {
    this.wanted = wanted
    this.#request = request
  }

  /** A literal begins. Where the message can't be told yet, or is not wanted, it is collected, or thrown away. */
  sinkFor(before: readonly Part[]): BodySink | undefined {
    const line = before.at(-1)
    if (typeof line !== 'string' || !isBody(line)) return undefined
    const facts = factsIn(before)
    if (facts === undefined) return undefined
    if (!this.wanted.delete(facts.uid)) return discard
    return this.#request.open(facts)
  }

  /** Every body that was not streamed has been taken. Rejects when one could not be. */
  async settled(): Promise<void> {
    await Promise.all(this.#taking)
  }

  /** The rest of a response: a body that was not streamed, or none. */
  take(parts: readonly Part[]): void {
    const message = messageIn(parts)
    if (message === undefined) return
    const { facts, values } = message
    if (!this.wanted.has(facts.uid) || !values.has('BODY[]')) return
    const body = values.get('BODY[]')
    if (!(body instanceof Uint8Array) || body.length === 0) {
      this.empty.add(facts.uid)
      return
    }
    this.wanted.delete(facts.uid)
    const sink = this.#request.open(facts)
    // Its octets are here already: nothing is gained by holding the server back.
    const taken = Promise.resolve(sink.write(body as Buffer)).then(() => sink.end())
    taken.catch(() => {})
    this.#taking.push(taken)
  }
}

/** What a complete FETCH response says; undefined for other responses, and where it says nothing of a UID. */
export function messageIn(
  parts: readonly Part[],
): { readonly facts: MessageFacts; readonly values: ReadonlyMap<string, Value> } | undefined {
  const head = parts[0]
  if (typeof head !== 'string' || !/^[0-9]+ FETCH /i.test(head)) return undefined
  const [, , list] = parseValues(parts)
  if (!Array.isArray(list)) return undefined
  const values = attributes(list)
  const facts = factsOf(values)
  return facts === undefined ? undefined : { facts, values }
}

const discard: BodySink = { write: () => {}, end: () => {}, abort: () => {} }

const isBody = (line: string): boolean => /BODY\[\](?:<0>)? ?~?$/i.test(line)

/** From the beginning of a response, whose list is still open. */
function factsIn(before: readonly Part[]): MessageFacts | undefined {
  const line = before.at(-1) as string
  const open = [...before.slice(0, -1), `${line.replace(/BODY\[\](?:<0>)? ?~?$/i, '')})`]
  const [, , list] = parseValues(open)
  return Array.isArray(list) ? factsOf(attributes(list)) : undefined
}

function attributes(list: readonly Value[]): ReadonlyMap<string, Value> {
  const values = new Map<string, Value>()
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at]
    if (typeof name === 'string') values.set(name.toUpperCase().replace(/<0>$/, ''), list[at + 1]!)
  }
  return values
}

function factsOf(values: ReadonlyMap<string, Value>): MessageFacts | undefined {
  const uid = values.get('UID')
  if (typeof uid !== 'string' || !/^[1-9][0-9]{0,9}$/.test(uid) || Number(uid) > 0xffffffff) return undefined
  const flags = values.get('FLAGS')
  const date = values.get('INTERNALDATE')
  return {
    uid: Number(uid) as Uid,
    flags: Array.isArray(flags)
      ? flags.filter((flag) => typeof flag === 'string' && flag.toLowerCase() !== '\\recent')
      : [],
    internalDate: date instanceof Uint8Array ? internalDate(date.toString()) : undefined,
  }
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const dateTime = /^ ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})$/

/** `17-Jul-1996 02:44:25 -0700`. RFC 9051 §9 date-time */
export function internalDate(text: string): number | undefined {
  const match = dateTime.exec(text)
  if (match === null) return undefined
  const [, day, name, year, hour, minute, second, sign, zoneHour, zoneMinute] = match
  const month = months.indexOf(name!.toLowerCase())
  if (month < 0) return undefined
  const seconds = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second)) / 1000
  const zone = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60
  return seconds - (sign === '-' ? -zone : zone)
}
