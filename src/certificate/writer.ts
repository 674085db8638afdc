/**
 * Writes a certificate while its entries are being found, so that none is held in memory: they go to a file of their own first, behind which counts
 * and roots are known. It is not signed, and there is no certificate, unless the counts add up.
 */
import { join } from 'node:path'
import { canonical } from './canonical.ts'
import {
  asJson,
  type Counts,
  type Entry,
  formatName,
  type MailboxSummary,
  type Statement,
  sumOf,
  whyCountsDiffer,
} from './format.ts'
import { Pour } from './pour.ts'
import type { SigningKey } from './signing-key.ts'
import { TreeHash } from './tree-hash.ts'

/** What was found contradicts itself: nothing is signed. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

type MailboxFacts = Omit<MailboxSummary, keyof Counts | 'root' | 'client'> & {
  /** As the old server counts. */
  readonly listed: number
  /** The mailbox as a whole is another one to a client. */
  readonly isOther: boolean
}

export class CertificateWriter implements AsyncDisposable {
  readonly #directory: string
  readonly #spool: Pour
  readonly #mailboxes: MailboxSummary[] = []
  #isFirst = true

  private constructor(directory: string, spool: Pour) {
    this.#directory = directory
    this.#spool = spool
  }

  /** Makes the directory. Throws StoreError, as everything here does that writes. */
  static async open(directory: string): Promise<CertificateWriter> {
    return new CertificateWriter(directory, await Pour.into(directory))
  }

  /** One mailbox of the old server: `add` in its order, then `end`. */
  mailbox(): MailboxEntries {
    return new MailboxEntries(
      (line) => {
        const comma = this.#isFirst ? '' : ',\n'
        this.#isFirst = false
        return this.#spool.write(comma + line)
      },
      (summary) => void this.#mailboxes.push(summary),
    )
  }

  /** Signs, and makes `name` in the directory, durably. Throws CertificateError. */
  async finish(
    facts: Pick<
      Statement,
      'account' | 'made' | 'occasion' | 'backends' | 'digests' | 'others' | 'leftOut' | 'notGivenBeside'
    >,
    key: SigningKey,
    name: string,
  ): Promise<{ readonly file: string; readonly statement: Statement }> {
    const tree = new TreeHash()
    const lines = this.#mailboxes.map((summary) => canonical(asJson(summary)))
    for (const line of lines) tree.add(line)
    const statement: Statement = {
      format: formatName,
      ...facts,
      ...sumOf(this.#mailboxes),
      mailboxes: lines.length,
      replayed: this.#mailboxes.filter(({ replayed }) => replayed).length,
      root: tree.root(),
      key: key.id,
    }
    const wrong = whyCountsDiffer(statement)
    if (wrong !== undefined) throw new CertificateError(wrong)
    const signed = canonical(asJson(statement))
    const file = join(this.#directory, name)
    const target = await Pour.into(this.#directory)
    try {
      await target.write(`{"statement":${signed},\n"signature":${JSON.stringify(key.sign(signed))},\n`)
      await target.write(`"publicKey":${JSON.stringify(key.publicPem)},\n"mailboxes":[\n`)
      for (const [index, line] of lines.entries()) await target.write(index === 0 ? line : `,\n${line}`)
      await target.write('\n],\n"entries":[\n')
      await this.#spool.into(target)
      await target.write('\n]}\n')
      await target.publish(name)
    } catch (error) {
      await target.remove()
      throw error
    }
    return { file, statement }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#spool.remove()
  }
}

export class MailboxEntries {
  readonly #write: (line: string) => void | Promise<void>
  readonly #ended: (summary: MailboxSummary) => void
  readonly #tree = new TreeHash()
  readonly #counts = { here: 0, octets: 0, again: 0 }
  readonly #exceptions: Record<string, number> = {}
  /** By mailbox here: no message may stand for two. */
  readonly #uids = new Map<string, number[]>()
  #entries = 0

  constructor(write: (line: string) => void | Promise<void>, ended: (summary: MailboxSummary) => void) {
    this.#write = write
    this.#ended = ended
  }

  /** Throws CertificateError for an entry that says neither where the message is nor why it isn't. */
  add(entry: Entry): void | Promise<void> {
    const { mailbox, uid, octets, digest, exception, differs } = entry
    const isHere = mailbox !== undefined && uid !== undefined && octets !== undefined && digest !== undefined
    if (isHere === (exception !== undefined))
      throw new CertificateError(`${entry.id} is neither here nor an exception, or both`)
    this.#entries++
    if (isHere) {
      this.#counts.here++
      this.#counts.octets += octets
      const uids = this.#uids.get(mailbox)
      if (uids === undefined) this.#uids.set(mailbox, [uid])
      else uids.push(uid)
    } else this.#exceptions[exception!] = (this.#exceptions[exception!] ?? 0) + 1
    if (differs?.some((difference) => difference === 'uid' || difference === 'uidl') === true) this.#counts.again++
    const line = canonical(asJson(entry))
    this.#tree.add(line)
    return this.#write(line)
  }

  /** Throws CertificateError when it does not add up. */
  end({ isOther, ...facts }: MailboxFacts): MailboxSummary {
    for (const [mailbox, uids] of this.#uids)
      if (
        Uint32Array.from(uids)
          .sort()
          .some((uid, index, sorted) => index > 0 && sorted[index - 1] === uid)
      )
        throw new CertificateError(`a message of ${JSON.stringify(mailbox)} stands for two of ${facts.from}`)
    const counts = this.#counts
    const again = isOther ? counts.here : counts.again
    const summary: MailboxSummary = {
      ...facts,
      ...counts,
      again,
      exceptions: this.#exceptions,
      client: isOther && facts.listed > 0 ? 'all again' : again > 0 ? 'some again' : 'nothing',
      root: this.#tree.root(),
    }
    const wrong =
      whyCountsDiffer(summary) ??
      (this.#entries === facts.listed ? undefined : `${facts.listed} are listed, ${this.#entries} were looked at`)
    if (wrong !== undefined) throw new CertificateError(`${JSON.stringify(facts.from)}: ${wrong}`)
    this.#ended(summary)
    return summary
  }
}
