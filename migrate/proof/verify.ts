/** Reads both sides again, octet by octet, and tells every difference. Changes neither. docs/decisions/0266-verifying-a-migration.md */
import { createHash } from 'node:crypto'
import { Slice } from '#gateway/backend/slice.ts'
import { isStub } from '#gateway/sync/stub.ts'
import type { Finding, Verification } from '#src/certificate/finding.ts'
import { type Exception, exceptionTexts } from '#src/certificate/format.ts'
import { Pour } from '#src/certificate/pour.ts'
import { isCopy } from '#src/store/copy-origin.ts'
import { digestReadAgain } from '#src/store/digest.ts'
import type { Mailbox } from '#src/store/types.ts'
import type { ProofRequest } from './certify.ts'
import { differencesOf } from './entry.ts'
import { Here, type Standing } from './here.ts'
import { isPop3, lookThere } from './sides.ts'
import type { MailboxThere } from './there.ts'

export const verificationName = 'verification.jsonl'

/** Read on either side before they are compared. */
const messagesAtOnce = 1_000

/** Findings, and the summary behind them, a line each in the file. Throws BackendError, StoreError. */
export const verifyMigration = async (
  request: ProofRequest,
): Promise<{ readonly file: string; readonly verification: Verification }> => {
  const { directory } = request
  const pour = await Pour.into(directory)
  try {
    const verification = await new Comparison(request, (line) => pour.write(`${JSON.stringify(line)}\n`)).run()
    await pour.write(`${JSON.stringify({ summary: verification })}\n`)
    return { file: await pour.publish(verificationName), verification }
  } catch (error) {
    await pour.remove()
    throw error
  }
}

type Present = Exclude<Standing, { readonly exception: unknown }>

class Comparison {
  readonly #request: ProofRequest
  readonly #tell: (finding: Finding) => void | Promise<void>
  /** By position: it is one of an old server's. */
  readonly #met = new Map<Mailbox, Uint8Array>()
  readonly #counts = { listed: 0, compared: 0, octets: 0, same: 0, findings: 0, explained: 0 }

  constructor(request: ProofRequest, tell: (finding: Finding) => void | Promise<void>) {
    this.#request = request
    this.#tell = tell
  }

  async run(): Promise<Verification> {
    const { gateway, userId, backends, password, progress, signal } = this.#request
    await using here = await Here.open(gateway.store.account(userId), gateway.access.limits)
    for (const mailbox of here.mailboxes) this.#met.set(mailbox, new Uint8Array(mailbox.messages.length))
    const urls: string[] = []
    for (const backend of [backends.master, ...backends.extra])
      await lookThere({ gateway, userId, backend, password, here, signal }, async (there) => {
        urls.push(there.url)
        progress.expect(there.expected)
        for (const from of there.leftOut) await this.#find({ kind: 'mailbox-left-out', isExplained: false, from })
        for await (const mailbox of there.mailboxes())
          await this.#mailbox(mailbox, here, await here.standings(mailbox, there.url, isPop3(backend)))
      })
    for (const mailbox of here.mailboxes) await this.#extra(mailbox, urls)
    return { account: userId, made: new Date(gateway.clock.now()).toISOString(), ...this.#counts }
  }

  async #find(finding: Finding): Promise<void> {
    this.#counts.findings++
    if (finding.isExplained) this.#counts.explained++
    await this.#tell(finding)
  }

  async #mailbox(there: MailboxThere, here: Here, standingAt: (position: number) => Standing): Promise<void> {
    const { path: from, messages } = there
    this.#counts.listed += messages.length
    const like = here.byId(there.idHere)
    if (like === undefined) {
      const detail = `${messages.length} messages`
      return await this.#find({ kind: 'mailbox-missing', isExplained: false, from, detail })
    }
    if (there.uidValidity !== undefined && there.uidValidity !== like.uidValidity) {
      const detail = `${there.uidValidity} there, ${like.uidValidity} here`
      await this.#find({ kind: 'uidvalidity', isExplained: false, from, mailbox: like.name, detail })
    }
    const slice = new Slice()
    let present: { position: number; standing: Present }[] = []
    let last = 0
    let inOrder = true
    for (let position = 0; position < messages.length; position++) {
      if (slice.isOver()) await slice.next()
      const standing = standingAt(position)
      if ('exception' in standing) {
        await this.#missing(there, position, standing)
        continue
      }
      if (standing.mailbox === like) {
        inOrder &&= standing.record.uid > last
        last = standing.record.uid
      }
      present.push({ position, standing })
      if (present.length < messagesAtOnce) continue
      await this.#compare(there, present)
      present = []
    }
    if (present.length > 0) await this.#compare(there, present)
    if (!inOrder) await this.#find({ kind: 'order', isExplained: false, from, mailbox: like.name })
  }

  async #missing(
    there: MailboxThere,
    position: number,
    { exception, detail }: { readonly exception: Exception; readonly detail?: string },
  ): Promise<void> {
    this.#request.progress.done(1)
    const isSince = exception === 'not-pulled' && position >= there.sinceLastPass
    await this.#find({
      kind: 'missing-here',
      isExplained: isSince || exception === 'deleted-here' || exception === 'left-to-submission',
      from: there.path,
      id: there.messages.originAt(position),
      detail: `${exceptionTexts[exception]}${detail === undefined ? '' : ` (${detail})`}`,
    })
  }

  async #compare(
    there: MailboxThere,
    present: readonly { readonly position: number; readonly standing: Present }[],
  ): Promise<void> {
    this.#request.signal.throwIfAborted()
    const [given, stored] = await Promise.all([
      this.#digestsThere(
        there,
        present.map(({ position }) => position),
      ),
      this.#digestsHere(present.map(({ standing }) => standing)),
    ])
    for (const [index, { position, standing }] of present.entries())
      await this.#one(there, position, standing, given.get(position), stored[index]!)
  }

  async #one(
    there: MailboxThere,
    position: number,
    standing: Present,
    given: string | undefined,
    stored: string | Error,
  ): Promise<void> {
    const { mailbox, record, original } = standing
    const at = mailbox.messages.positionOf(record.uid)
    this.#met.get(mailbox)![at] = 1
    const place = {
      from: there.path,
      id: there.messages.originAt(position),
      mailbox: mailbox.name,
      uid: record.uid,
    }
    const find = (kind: Finding['kind'], detail: string, isExplained = false) =>
      this.#find({ kind, isExplained, ...place, detail })
    const isIntact = stored === record.digest
    if (!isIntact)
      await find(
        'damaged',
        stored instanceof Error ? stored.message : `SHA-256 was ${hex(record.digest)}, is ${hex(stored)}`,
      )
    if (given === undefined) await find('not-given', 'the old server did not give it')
    else {
      this.#counts.compared++
      const expected = original ?? record.digest
      if (given === expected && isIntact) this.#counts.same++
      // One that is damaged here has been told.
      if (given !== expected)
        await find('octets', `SHA-256 is ${hex(given)} there, and was ${hex(expected)} when it came here`)
    }
    const isTouched = mailbox.messages.modSeqAt(at) !== mailbox.messages.addedModSeqAt(at)
    for (const difference of differencesOf(there, position, standing)) {
      if (difference === 'flags')
        await find(
          'flags',
          `${told(there.messages.flagsAt(position))} there, ${told([...record.flags])} here`,
          isTouched,
        )
      if (difference === 'date')
        await find('date', `${there.messages.dateAt(position)} there, ${record.internalDate} here`)
      if (difference === 'uidl') await find('uidl', `${there.messages.uidlAt(position)} there, ${standing.uidl} here`)
      if (difference === 'uid' && there.uidValidity === mailbox.uidValidity)
        await find('uid', `${there.messages.uidAt(position)} there`, mailbox.id !== there.idHere)
    }
  }

  async #digestsThere(there: MailboxThere, positions: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const digests = new Map<number, string>()
    await there.bodies(
      positions,
      (position) => {
        const digest = createHash('sha256')
        let octets = 0
        return {
          write: (chunk) => {
            octets += chunk.length
            digest.update(chunk)
          },
          end: () => {
            digests.set(position, digest.digest('base64url'))
            this.#counts.octets += octets
            this.#request.progress.done(1, octets)
          },
          abort: () => {},
        }
      },
      () => this.#request.progress.done(1),
    )
    return digests
  }

  /** Read again, whatever the name of the file says. */
  async #digestsHere(standings: readonly Present[]): Promise<readonly (string | Error)[]> {
    const digests: (string | Error)[] = []
    for (const { mailbox, record } of standings) digests.push(await digestReadAgain(mailbox, record))
    return digests
  }

  async #extra(mailbox: Mailbox, urls: readonly string[]): Promise<void> {
    const met = this.#met.get(mailbox)!
    const slice = new Slice()
    for (let position = 0; position < met.length; position++) {
      if (slice.isOver()) await slice.next()
      const origin = mailbox.messages.originAt(position)
      if (met[position] === 1 || !mailbox.messages.isHereAt(position) || (origin !== undefined && isStub(origin)))
        continue
      await this.#find({
        kind: 'extra-here',
        isExplained: true,
        mailbox: mailbox.name,
        uid: mailbox.messages.uidAt(position),
        ...(origin === undefined || isCopy(origin) ? {} : { id: origin }),
        detail: whence(origin, urls),
      })
    }
  }
}

const whence = (origin: string | undefined, urls: readonly string[]): string => {
  if (origin === undefined) return 'new since: it was put here'
  if (isCopy(origin)) return 'new since: a copy that was made here'
  return urls.some((url) => origin.startsWith(url))
    ? 'it came from the old server, which does not list it any more'
    : 'it came from elsewhere'
}

const hex = (digest: string): string => Buffer.from(digest, 'base64url').toString('hex')
const told = (flags: readonly string[] = []): string => `(${[...flags].sort().join(' ')})`
