/**
 * Sieve at delivery: the site's script, then the user's, and what they say made into a decision. Nothing of it is done here; what goes out is queued by
 * `perform`, when the message itself is durable. Whatever fails, the message is kept. SV-01, SV-02, SV-05
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { Hierarchy } from '../../sharing/hierarchy.ts'
import type { Sharing } from '../../sharing/sharing.ts'
import { RunningMessage } from '../../sieve/message.ts'
import { run } from '../../sieve/run.ts'
import type { Action, Outcome, Script } from '../../sieve/types.ts'
import type { Store } from '../../store/types.ts'
import type { Outbox } from '../../submission/queue.ts'
import type { Decision, Filter, IncomingMessage, MessageTrack, Recipient, Transaction } from '../types.ts'
import { Decider } from './decider.ts'
import { environmentOf, ownerOf } from './environment.ts'
import { mailboxesOf } from './mailboxes.ts'
import { sieveMessage } from './message.ts'
import type { SenderRules } from './redirect.ts'
import { Remembered, type Turn } from './remembered.ts'
import { ActiveScripts } from './scripts.ts'

export interface FilterSettings {
  /** enable_sieve */
  readonly enabled: boolean
  /** global_sieve_script */
  readonly globalScript: string | undefined
  /** sieve_maxredirects */
  readonly maxRedirects: number
  readonly redirect: SenderRules
  /** Annotations of the server, by entry. */
  readonly annotations: ReadonlyMap<string, string>
}

export interface FilterParts {
  readonly store: Store
  readonly track: MessageTrack
  readonly outbox: Outbox
  readonly clock: Clock
  readonly log: Log
  readonly hostName: string
  /** Those in force now. */
  readonly settings: () => FilterSettings
  readonly sharing: () => Sharing
  /** All addresses of a user. Throws StoreError. */
  readonly addressesOf: (recipient: Recipient) => Promise<readonly string[]>
  /** Groups of the configuration that an address is in. */
  readonly groupsOf: (address: string) => ReadonlySet<string>
}

export function sieveFilter(parts: FilterParts): Filter {
  const scripts = new ActiveScripts(parts.log)
  const remembered = new Remembered(parts.track, parts.log)
  return async (transaction, recipient, message) => {
    const settings = parts.settings()
    const active = settings.enabled ? await scriptsFor(recipient, settings, scripts) : []
    if (active.length === 0) return keep(recipient)
    const turn = remembered.of(ownerOf(recipient))
    try {
      return await decide(parts, settings, active, turn, transaction, recipient, message)
    } catch (error) {
      turn.end()
      throw error
    }
  }
}

const keep = ({ mailbox }: Recipient): Decision => ({ placings: [{ mailbox, flags: [], create: false }] })

async function scriptsFor(
  { userId, account }: Recipient,
  { globalScript }: FilterSettings,
  scripts: ActiveScripts,
): Promise<readonly Script[]> {
  const site = globalScript === undefined ? undefined : await scripts.ofSite(globalScript)
  const own = userId !== undefined && (await account.exists()) ? await scripts.ofUser(account) : undefined
  return [site, own].filter((script) => script !== undefined)
}

async function decide(
  parts: FilterParts,
  settings: FilterSettings,
  active: readonly Script[],
  turn: Turn,
  transaction: Transaction,
  recipient: Recipient,
  message: IncomingMessage,
): Promise<Decision> {
  const { store, clock, hostName } = parts
  const log = parts.log.child({ id: transaction.id, user: ownerOf(recipient) })
  const { userId, account } = recipient
  const hierarchy = userId === undefined ? undefined : new Hierarchy(userId, store, parts.sharing, log)
  const mailboxes = hierarchy === undefined ? undefined : mailboxesOf(account, hierarchy, () => settings.annotations)
  const seen = sieveMessage(message, { from: transaction.sender, to: recipient.address })
  const environment = environmentOf({
    transaction,
    recipient,
    mailboxes,
    turn,
    nowMs: clock.now(),
    maxRedirects: settings.maxRedirects,
    globalScript: settings.globalScript,
    domain: settings.redirect.domain,
    hostName,
    groupsOf: parts.groupsOf,
  })
  const outcome = await run(active, seen, environment)
  complain(outcome, log)
  const decider = new Decider({
    ...parts,
    log,
    turn,
    recipient,
    incoming: message,
    message: new RunningMessage(seen),
    mailboxes,
    redirect: settings.redirect,
    nowMs: clock.now(),
  })
  for (const action of outcome.actions) await attempt(action, decider, log)
  return decider.decision()
}

/** An action that can't be done leaves the message in the inbox, and the others are done. */
async function attempt(action: Action, decider: Decider, log: Log): Promise<void> {
  try {
    await decider.take(action)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    log.log('notice', 'what a Sieve script asks for can not be done; the message is kept', {
      action: action.type,
      reason: error.message,
    })
    decider.keep(action)
  }
}

/** SV-07: each redirect beyond the limit is an error. */
function complain({ error, warnings }: Outcome, log: Log): void {
  for (const { line, script, text } of warnings)
    log.log('err', 'a Sieve script is not followed', { line, script, reason: text })
  if (error === undefined) return
  const { line, script, text } = error
  log.log('err', 'a Sieve script failed; the message is kept', { line, script, reason: text })
}
