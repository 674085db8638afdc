/**
 * Mail that this site sends by itself (redirected messages, replies of Sieve scripts): durable before `add` resolves, then submitted, again and again while
 * the server can't take it. RFC 5321 §4.5.4. SV-06
 */
import type { Clock } from '../base/clock.ts'
import { RemoteError, StoreError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { undeliverableReport } from './report.ts'
import { claimMs, type OpenEntry, type Outgoing, type Spool, type Waiting } from './spool.ts'
import { Interrupted, type Submission, type Verdict } from './submission.ts'

/** What takes mail to be sent. */
export interface Outbox {
  /** Resolves when all are durable. Throws StoreError unavailable; none is sent then. */
  add(messages: readonly Outgoing[]): Promise<void>
}

export interface QueueParts {
  readonly spool: Spool
  readonly submission: Submission
  readonly clock: Clock
  readonly log: Log
  /** Whom reports come from. */
  readonly domain: string
}

/** More than the connections that the submission server gets. */
const mostAtOnce = 16
/** Mail of other processes, and what `msadm queue` changed, is seen so late. */
const lookMs = 15_000
const mostAtOneLook = 1_000
const sweepMs = 3_600_000
const firstDelayMs = 60_000
const longestDelayMs = 3_600_000
const firstPauseMs = 5_000
const longestPauseMs = 600_000
/** RFC 5321 §4.5.4.1: at least four to five days. */
export const giveUpMs = 5 * 86_400_000

/** Behind so many failed attempts. */
export const delayMs = (attempts: number): number =>
  Math.min(firstDelayMs * 2 ** Math.min(attempts, 20), longestDelayMs)

export class Queue implements Outbox {
  readonly #parts: QueueParts
  #submission: Submission
  #ready: Waiting[] = []
  readonly #inFlight = new Set<Promise<void>>()
  #running: Promise<void> | undefined
  #isStopping = false
  #wake: () => void = () => {}
  /** The server took nothing: monotonic milliseconds until which nothing is tried, and how long that was. */
  #pausedUntil = 0
  #pauseMs = 0

  constructor(parts: QueueParts) {
    this.#parts = parts
    this.#submission = parts.submission
  }

  async add(messages: readonly Outgoing[]): Promise<void> {
    if (messages.length === 0) return
    const waiting = await this.#parts.spool.add(messages)
    if (this.#running === undefined) return
    this.#ready.push(...waiting)
    this.#wake()
  }

  /** Sends from now on: what is there from before, what is added, and what other processes leave. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** What is being sent is brought to its end within the time given; the rest stays in the directory. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    this.#wake()
    const all = Promise.all([this.#running, ...this.#inFlight])
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, graceMs)
    await Promise.race([all, late.promise])
    clearTimeout(timer)
    this.#submission.close()
  }

  /** Goes on with another server. */
  reload(submission: Submission): void {
    this.#submission.close()
    this.#submission = submission
    this.#pausedUntil = 0
    this.#wake()
  }

  async #run(): Promise<void> {
    const { spool, clock, log } = this.#parts
    let [lookAt, sweepAt] = [0, 0]
    let isMore = false
    while (!this.#isStopping) {
      const now = clock.monotonic()
      if (now >= lookAt || (isMore && this.#ready.length === 0)) {
        try {
          if (now >= sweepAt) {
            await spool.sweep()
            sweepAt = now + sweepMs
          }
          // What is added meanwhile may be missing there.
          this.#ready = []
          const due = await spool.due(mostAtOneLook)
          isMore = due.length === mostAtOneLook
          this.#ready = [...due, ...this.#ready]
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          log.log('err', 'mail that is to be sent can not be read', { reason: error.message })
        }
        lookAt = clock.monotonic() + lookMs
      }
      while (this.#mayStart()) {
        const work = this.#handle(this.#ready.shift()!).finally(() => {
          this.#inFlight.delete(work)
          this.#wake()
        })
        this.#inFlight.add(work)
      }
      if (!this.#isStopping) await this.#woken(Math.max(0, Math.max(lookAt, this.#pausedUntil) - clock.monotonic()))
    }
  }

  #mayStart(): boolean {
    const isPaused = this.#parts.clock.monotonic() < this.#pausedUntil
    return !this.#isStopping && !isPaused && this.#ready.length > 0 && this.#inFlight.size < mostAtOnce
  }

  async #woken(mostMs: number): Promise<void> {
    const over = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const slept = this.#parts.clock.sleep(mostMs, over.signal).catch(() => {})
    await Promise.race([promise, slept])
    over.abort()
  }

  async #handle(waiting: Waiting): Promise<void> {
    const { spool, log } = this.#parts
    try {
      const claimed = await spool.claim(waiting)
      if (claimed !== undefined) await this.#send(claimed)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.log('err', 'a message that is to be sent is left for later', { id: waiting.id, reason: error.message })
    }
  }

  async #send(claimed: Waiting): Promise<void> {
    const { spool, clock, log } = this.#parts
    const claim = new Claim(claimed, spool, log)
    try {
      await using opened = await spool.open(claimed)
      if (opened === undefined) return
      const verdict = await this.#submit(opened)
      await claim.end()
      await this.#settle(opened, claim.held, verdict)
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'damaged') throw error
      const { id } = claimed
      log.log('err', 'mail to be sent is damaged; msadm queue shows and removes it', { id, reason: error.message })
      await claim.end()
      await spool.postpone(claim.held, clock.now() + longestDelayMs, { reply: error.message, counts: true })
    } finally {
      await claim.end()
    }
  }

  /** A RemoteError as its answer: the server takes no mail at all now. */
  async #submit({ entry, chunks }: OpenEntry): Promise<Verdict | RemoteError> {
    const { sender, recipient, sizeOctets, isEightBit } = entry
    try {
      return await this.#submission.submit({ sender, recipient, sizeOctets, isEightBit, chunks })
    } catch (error) {
      if (error instanceof RemoteError) return error
      throw error
    }
  }

  async #settle(opened: OpenEntry, held: Waiting, verdict: Verdict | RemoteError): Promise<void> {
    const { spool, clock, log } = this.#parts
    const { id, kind, sender, recipient, owner, createdMs, attempts } = opened.entry
    const fields = { id, kind, from: sender, to: recipient, owner }
    if (!(verdict instanceof RemoteError)) this.#pauseMs = 0
    if (!(verdict instanceof RemoteError) && verdict.kind === 'accepted') {
      await spool.remove(held)
      log.log('info', 'mail sent', fields)
      return
    }
    const reply = verdict instanceof RemoteError ? (verdict.serverText ?? verdict.message) : verdict.reply
    const isOver = clock.now() - createdMs > giveUpMs
    if (isOver || (!(verdict instanceof RemoteError) && verdict.kind === 'refused')) {
      await this.#giveUp(opened, held, reply)
      return
    }
    // A message that the server can't get through must not hold up the others; when it is the server, the next one finds that out.
    const isPause = verdict instanceof RemoteError && !(verdict instanceof Interrupted)
    if (isPause) this.#pause(verdict)
    const after = isPause ? this.#pauseMs : delayMs(attempts)
    log.log('info', 'mail is not taken now, and tried again', { ...fields, reply, seconds: Math.round(after / 1_000) })
    await spool.postpone(held, clock.now() + after, { reply, counts: !isPause })
  }

  #pause(error: RemoteError): void {
    const { clock, log } = this.#parts
    // Those that were on their way at the same time say the same.
    if (clock.monotonic() < this.#pausedUntil) return
    this.#pauseMs = this.#pauseMs === 0 ? firstPauseMs : Math.min(this.#pauseMs * 2, longestPauseMs)
    this.#pausedUntil = clock.monotonic() + this.#pauseMs
    log.log('warning', error.message, { seconds: this.#pauseMs / 1_000 })
  }

  /** The sender of a redirected message is told, as a mail server would. RFC 5321 §6.1 */
  async #giveUp({ entry, chunks }: OpenEntry, held: Waiting, reply: string): Promise<void> {
    const { spool, clock, log, domain } = this.#parts
    const { id, kind, sender, recipient, owner } = entry
    log.log('err', 'mail could not be sent, and is given up', { id, kind, from: sender, to: recipient, owner, reply })
    if (kind === 'redirect' && sender !== '') {
      const octets = await undeliverableReport(entry, chunks(), { reply, domain, now: new Date(clock.now()) })
      await this.add([{ kind: 'report', sender: '', recipient: sender, owner, octets }])
    }
    await spool.remove(held)
  }
}

/** Renewed until its end. */
class Claim {
  #held: Waiting
  #turn: Promise<void> = Promise.resolve()
  readonly #timer: NodeJS.Timeout

  constructor(claimed: Waiting, spool: Spool, log: Log) {
    this.#held = claimed
    this.#timer = setInterval(() => {
      this.#turn = this.#turn
        .then(async () => {
          this.#held = (await spool.claim(this.#held)) ?? this.#held
        })
        .catch((error: Error) => log.log('warning', 'mail may be sent twice', { reason: error.message }))
    }, claimMs / 3)
    this.#timer.unref()
  }

  get held(): Waiting {
    return this.#held
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.#turn
  }
}
