/**
 * LIST, RFC 3501 §6.3.8 and RFC 5258, with the attributes of CHILDREN, RFC 3348, and of SPECIAL-USE, RFC 6154, and with what else is asked of each
 * mailbox: STATUS, RFC 5819, and MYRIGHTS, RFC 8440.
 */
import { StoreError } from '../../base/errors.ts'
import { formatMyRights } from '../../proto/imap/acl.ts'
import { type ExtendedListArgs, formatListLine, readExtendedListArgs } from '../../proto/imap/list.ts'
import { formatStatus } from '../../proto/imap/status.ts'
import { formatWithVirtual } from '../../sharing/rights.ts'
import { command, loggedIn } from '../command.ts'
import { type Listed, listing } from '../listing.ts'
import { Refusal } from '../replies.ts'
import type { Session } from '../session.ts'
import { statusValues } from '../status-values.ts'

/** In one LIST: each is tried with every mailbox. */
const maxPatterns = 100
/** Mailboxes that are asked for their status at the same time: as many as a server's threads for files. */
const asksAtOnce = 16

export const list = command({
  name: 'LIST',
  states: loggedIn,
  capabilities: () => ['CHILDREN', 'SPECIAL-USE', 'LIST-EXTENDED', 'LIST-STATUS', 'LIST-MYRIGHTS'],
  parse: readExtendedListArgs,
  async run(session, args) {
    const { patterns, isExtended } = args
    if (!isExtended && patterns[0] === '') {
      // Asks for the delimiter and the root of the reference: every name is below the one root.
      session.output.write(formatListLine(session.spelling, 'LIST', ['\\Noselect'], ''))
      return undefined
    }
    if (patterns.length > maxPatterns) throw new Refusal('NO', 'LIMIT', `At most ${maxPatterns} patterns in one LIST`)
    if (args.returns.status?.includes('HIGHESTMODSEQ')) session.enable('CONDSTORE')
    const answer = new Answer(session, args)
    for await (const listed of listing(session, args)) await answer.add(listed)
    await answer.end()
    return undefined
  },
})

/** What is told of a name behind its LIST response. */
interface Beside {
  /** Responses. */
  readonly text: string
  readonly isSelectable: boolean
}

class Answer {
  readonly #session: Session
  readonly #args: ExtendedListArgs
  readonly #asks: boolean
  #waiting: Listed[] = []

  constructor(session: Session, args: ExtendedListArgs) {
    this.#session = session
    this.#args = args
    this.#asks = args.returns.status !== undefined || args.returns.myRights
  }

  async add(listed: Listed): Promise<void> {
    if (!this.#asks) return await this.#write(listed, { text: '', isSelectable: listed.isMailbox })
    if (this.#waiting.push(listed) === asksAtOnce) await this.end()
  }

  async end(): Promise<void> {
    const asked = this.#waiting
    this.#waiting = []
    const beside = await Promise.all(asked.map((listed) => this.#ask(listed)))
    for (const [index, listed] of asked.entries()) await this.#write(listed, beside[index]!)
  }

  async #write({ name, isMailbox, attributes, below }: Listed, { text, isSelectable }: Beside): Promise<void> {
    const { output, spelling } = this.#session
    // RFC 5258 §3: clients that don't know it are told what they know.
    const state = isSelectable ? [] : isMailbox || !this.#args.isExtended ? ['\\Noselect'] : ['\\NonExistent']
    output.write(formatListLine(spelling, 'LIST', [...state, ...attributes], name, { below }) + text)
    await output.flow()
  }

  /** RFC 5819 §2: a mailbox that can't be selected has no STATUS, and is told to be so. */
  async #ask({ name, isMailbox, isMatch }: Listed): Promise<Beside> {
    if (!isMailbox || !isMatch) return { text: '', isSelectable: isMailbox }
    const { hierarchy, log, services, spelling } = this.#session
    const { appendOctets } = services.settings()
    const { status, myRights } = this.#args.returns
    let text = ''
    try {
      const { account, local, rights } = await hierarchy.permit(name)
      if (myRights) text += formatMyRights(spelling, name, formatWithVirtual(rights))
      if (status === undefined) return { text, isSelectable: true }
      if (!rights.has('r')) return { text, isSelectable: false }
      return {
        text: text + formatStatus(spelling, name, await statusValues(account, local, status, appendOctets)),
        isSelectable: true,
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (error.kind === 'not-found') return { text, isSelectable: false }
      log.log('err', 'the status of a mailbox is left out of a list', { mailbox: name, cause: error.message })
      return { text, isSelectable: true }
    }
  }
}
