/** What an inventory finds that an operator should know before a wave begins, and what can be done about it. */
import { BackendError } from '#gateway/backend/errors.ts'
import type { ToldRisk } from '#src/auth/migration-questions.ts'
import { AuthError, StoreError } from '#src/base/errors.ts'

const advices = {
  'no-server': 'no old server is known: set ms_syncd_host, or add a record for the user to ms_sync.xml',
  'no-password': 'there is no password for the old server: give one in the CSV file, or let the user log in',
  'wrong-password':
    'the old server refuses the password: give the right one; for a wave, in the CSV file, and create it again',
  'no-consent': 'the owner has to allow it at the provider first: msadm oauth, or an application password',
  'accepts-anything': 'the old server accepts any password: nobody is moved by its word; have it mended first',
  unreachable: 'the old server could not be asked: look at the reason, then take the inventory again',
  'account-exists':
    'an account of this name is here already: what is pulled is added to its mail, it is enabled, and gets the password for the old server; rename one of them if they are two persons, and leave out who is not to log in',
  'over-quota':
    'more mail than the quota here allows: all of it is pulled, but nothing can be added then; raise it with msadm quota set',
  oversized: 'a message is larger than is taken: it stays at the old server; save it by hand',
  'over-limit':
    'larger than the limit of the wave for one account: it is left out; raise the limit, or move it in a wave of its own',
  'no-uidl':
    'the old server has no unique-ids (UIDL): messages are told by their headers, and clients that keep mail there load it once again',
  'colliding-names':
    'two mailboxes would have one name here: the second gets a mark behind its name; rename it there before, or tell the user',
  'changed-names':
    'a mailbox can not have its name here: it gets one like it; rename it there before, or tell the user',
  'unreadable-mailboxes': 'a mailbox is listed and can not be opened: it stays at the old server; look at it there',
  'deletes-when-read':
    'the old server may delete what is retrieved: messages come one by one, and there is no way back to it',
  'repeated-uidls': 'unique-ids are missing or not unique: those messages are told by their headers',
  'empty-messages': 'messages without any content are listed: they come as they are, where the old server gives them',
} as const
export type RiskKind = keyof typeof advices

/** Users with one of these are passed over until it is mended: to try a refused password again could lock them out there. */
const blocking: ReadonlySet<RiskKind> = new Set<RiskKind>([
  'no-server',
  'no-password',
  'wrong-password',
  'no-consent',
  'accepts-anything',
  'over-limit',
])

export interface Risk {
  readonly kind: RiskKind
  /** What was found, for people. */
  readonly found: string
}

/** As an operator is told. */
export const told = (risk: Risk): ToldRisk => ({ ...risk, advice: advices[risk.kind], isBlocking: isBlocking(risk) })

export const isBlocking = ({ kind }: Risk): boolean => blocking.has(kind)

/** Why a look at an old server failed. */
export const riskOf = (error: unknown): Risk => {
  if (error instanceof BackendError) {
    const found = error.serverText === undefined ? error.message : `${error.message} (${error.serverText})`
    if (error.kind === 'auth') return { kind: 'wrong-password', found }
    if (error.kind === 'needs-consent') return { kind: 'no-consent', found }
    return { kind: 'unreachable', found }
  }
  if (error instanceof AuthError || error instanceof StoreError) return { kind: 'unreachable', found: error.message }
  throw error
}
