import type {
  CarriedCounts,
  Compared,
  DifferenceKind,
  RollbackAnswer,
  RollbackDifference,
  RollbackRequest,
} from '../../../auth/rollback-questions.ts'
import { connected } from '../../event-bus.ts'
import { secretOf, userAtOldServer } from '../at-old-server.ts'
import { type Command, CommandError, type Context, readArguments, UsageError } from '../command.ts'
import { untilInterrupted } from '../interrupt.ts'
import { askMsSyncd, pullMs } from '../ms-syncd.ts'

/** docs/decisions/0276-the-way-back.md */
export const rollback: Command = {
  name: 'rollback',
  usage: 'rollback {[-p password] userid [--dry-run] [--leave-behind] | --cancel userid}',
  summary: 'gives a migrated account back to the old server, with all that was changed here',
  details: `  -p password     the user's at the old server, where ms_sync.xml has none and the migration keeps none; -p - reads it from standard input
  --dry-run       compares both sides and tells what would be carried; changes nothing
  --leave-behind  also when mail stays here that the old server can't have or does not take: new mail of a POP3 account, what it refuses
  --cancel        the account stays here after all; what was carried to the old server by then stays there

For rollback_days after the migration. Logins are refused as unavailable, sessions here end with BYE, and new mail, flags, copies, moves, deletions and changes of the mailbox tree go to the
old server. Then both sides are compared; what was put there is read back. When they are equal, logins are passed through to the old server from then on. What is here stays as it
is: nothing is deleted. Otherwise every difference is told, and nobody is let in until the same command, given again, comes to its end, or --cancel. Interrupted at any
point it goes on when it is given again. ms_syncd has to run with auto_migrate. Deliver new mail to the old server from then on:
msadm deliver answers 75.
Exit status: 0 done; 1 the sides differ, or it could not be done.

Examples
  msadm rollback --dry-run joe@example.org      msadm --json rollback -p - joe@example.org
  msadm rollback --leave-behind joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      p: { type: 'string', short: 'p' },
      'dry-run': { type: 'boolean' },
      'leave-behind': { type: 'boolean' },
      cancel: { type: 'boolean' },
    })
    const { p, 'dry-run': dryRun = false, 'leave-behind': leavesBehind = false, cancel = false } = values
    if (cancel && (p !== undefined || dryRun || leavesBehind)) throw new UsageError('--cancel takes no other switch')
    if (dryRun && leavesBehind) throw new UsageError('--dry-run changes nothing, so --leave-behind has no place there')
    const user = await userAtOldServer(positionals, p, context)
    const { userId } = user
    if (cancel) {
      const { state } = await ask({ type: 'rollback-cancel', userId }, context)
      return context.print(`${userId} stays here`, { userId, state })
    }
    const how = { ...(dryRun ? { dryRun } : {}), ...(leavesBehind ? { leavesBehind } : {}) }
    const answer = await ask({ type: 'rollback', userId, ...secretOf(user), ...how }, context)
    show(answer, context)
    if (!dryRun && answer.state !== 'rolled-back')
      throw new CommandError(
        `${userId} is not given back yet, and can't log in: mend what differs and give the command again, or end it with --cancel`,
      )
  },
}

type Done = Extract<RollbackAnswer, { readonly ok: true }>

/** Throws CommandError. */
const ask = (request: RollbackRequest, { config }: Context): Promise<Done> =>
  untilInterrupted(
    'interrupted; ms_syncd goes on with what it began: msadm migrate --list tells how it ended',
    async (signal) => {
      await using bus = await connected(config, 'msadm')
      return await askMsSyncd<RollbackAnswer>(bus, request, { timeoutMs: pullMs, signal })
    },
  )

const show = (answer: Done, context: Context): void => {
  const { ok: _, ...told } = answer
  context.print(linesOf(answer).join('\n'), told)
}

const linesOf = ({ userId, state, before, after, carried, left = [] }: Done): readonly string[] => {
  if (after === undefined)
    return [
      `${userId}: ${before === undefined ? '' : sidesOf(before)}`,
      ...differing(before, allKinds(before)).map((line) => `  to carry: ${line}`),
    ]
  const isBack = state === 'rolled-back'
  const equal = left.length === 0 ? 'both sides are equal' : 'all else is equal on both sides'
  return [
    `${userId}: ${carried === undefined ? '' : carriedText(carried)}`,
    `before: ${before === undefined ? '' : sidesOf(before)}`,
    `after: ${sidesOf(after)}`,
    ...(isBack ? [] : after.differences.map((difference) => `difference ${lineOf(difference)}`)),
    ...differing(after, left).map((line) => `left as it is: ${line}`),
    ...(isBack ? [`${equal}; logins are passed through to the old server from now on`] : []),
  ]
}

const allKinds = (compared: Compared | undefined): readonly DifferenceKind[] =>
  Object.keys(compared?.differing ?? {}) as DifferenceKind[]

const sidesOf = ({ here, there }: Compared): string =>
  `${here.messages} messages in ${here.mailboxes} mailboxes here, ${there.messages} in ${there.mailboxes} at the old server`

const differing = (compared: Compared | undefined, kinds: readonly DifferenceKind[]): readonly string[] =>
  kinds.map((kind) => `${compared?.differing[kind] ?? 0} ${texts[kind]}`)

const carriedText = (counts: CarriedCounts): string =>
  [
    `${counts.appended} messages appended`,
    `${counts.copied} copied`,
    `${counts.moved} moved`,
    `${counts.flags} with other flags`,
    `${counts.expunged} expunged`,
    `${counts.mailboxesMade} mailboxes made`,
    `${counts.mailboxesRenamed} renamed`,
    `${counts.mailboxesRemoved} removed`,
    ...(counts.arrived > 0 ? [`${counts.arrived} messages had arrived there`] : []),
  ].join(', ')

const lineOf = ({ kind, mailbox, from, uid, uidThere }: RollbackDifference): string => {
  const here = mailbox === undefined ? [] : [`${JSON.stringify(mailbox)}${uid === undefined ? '' : ` UID ${uid}`} here`]
  const there =
    from === undefined ? [] : [`${JSON.stringify(from)}${uidThere === undefined ? '' : ` UID ${uidThere}`} there`]
  return `${kind}: ${[...here, ...there].join(', ')}: ${texts[kind]}`
}

const texts: Readonly<Record<DifferenceKind, string>> = {
  'not-carried': 'messages in mailboxes that the old server does not take',
  'missing-there': 'messages that are not at the old server',
  'copy-missing-there': 'copies that are not at the old server',
  'gone-there': 'messages that the old server does not list any more',
  'moved-here': 'messages that were moved here',
  'deleted-here': 'messages that were deleted here',
  flags: 'messages with other flags',
  'keyword-not-kept': 'messages with keywords that the old server has on none',
  date: 'messages with other dates',
  octets: 'messages with other octets',
  'mailbox-missing-there': 'mailboxes that are not at the old server',
  'mailbox-removed-here': 'mailboxes that were removed here',
  'mailbox-missing-here': 'mailboxes that are at the old server only',
  'mailbox-name': 'mailboxes with other names',
  subscription: 'mailboxes with another subscription',
}
