/** Tells what `msadm migrate` would do for users, by what ms_syncd finds at the old servers. docs/decisions/0285-a-dry-run.md */
import type { AccountRecord } from '../../auth/accounts.ts'
import type { DryRun, DryRunAnswer, DryRunRequest, ToldRisk } from '../../auth/migration-questions.ts'
import { severalAtOnce } from '../../store/several.ts'
import { CommandError } from './command.ts'
import { type Run, refusalOf, type User } from './migrating.ts'
import { pullMs } from './ms-syncd.ts'
import { durationText, octetsText } from './wave/words.ts'

export interface DryRunOptions {
  readonly atOnce: number
  /** Users whose account is enabled are left as they are. */
  readonly skipsEnabled: boolean
  /** --discard-local */
  readonly anew: boolean
}

/** What would become of one user. */
interface Foreseen {
  readonly user: User & { readonly line?: number }
  /** For the operator: what would be done. Undefined: it would fail. */
  readonly would: string | undefined
  readonly isLeft: boolean
  readonly found: Pick<DryRun, 'backends' | 'ms' | 'measured' | 'risks' | 'scripts' | 'scriptsNotTold'>
}

const nothingFound = { backends: [], ms: 0, measured: 0, risks: [] } as const

/** In the order of `users`, each as soon as it is known. Throws CommandError when a user could not be moved like that. */
export const foreseeAll = async (
  users: readonly Foreseen['user'][],
  run: Run,
  options: DryRunOptions,
): Promise<void> => {
  const { context, signal } = run
  const show = context.showProgress(false)
  const known = new Map<number, Foreseen>()
  const width = Math.max(...users.map(({ userId }) => userId.length))
  const totals = {
    users: users.length,
    wouldMove: 0,
    left: 0,
    wouldFail: 0,
    messages: 0,
    octets: 0,
    ms: 0,
    measured: 0,
  }
  let longest = 0
  let told = 0
  const tell = () => {
    for (let next = known.get(told); next !== undefined; next = known.get(told)) {
      show?.('')
      print(next, width, run)
      known.delete(told)
      told += 1
    }
    show?.(`${told} of ${users.length} users`)
  }
  await severalAtOnce([...users.entries()], options.atOnce, async ([place, user]) => {
    signal.throwIfAborted()
    const foreseen = await foresee(user, run, options)
    const { backends, ms, measured } = foreseen.found
    if (foreseen.isLeft) totals.left += 1
    else totals[foreseen.would === undefined ? 'wouldFail' : 'wouldMove'] += 1
    for (const { messages, octets } of backends) {
      totals.messages += messages
      totals.octets += octets
    }
    totals.ms += ms
    totals.measured = Math.max(totals.measured, measured)
    longest = Math.max(longest, ms)
    known.set(place, foreseen)
    tell()
  })
  show?.('')
  const { wouldMove, left, wouldFail, messages, octets, measured } = totals
  const ms = Math.max(longest, Math.round(totals.ms / options.atOnce))
  const basis = measured === 0 ? 'a guess: nothing was pulled from there yet' : `by ${measured} users who were pulled`
  const others = left === 0 ? '' : `, ${left} are here already`
  context.print(
    `${wouldMove} users would be moved${others}, ${wouldFail} would fail; ${messages} messages, ${octetsText(octets)}, about ${durationText(ms)} (${basis}). Nothing was changed.`,
    { ...totals, ms },
  )
  if (wouldFail > 0) throw new CommandError(`${wouldFail} of ${users.length} users could not be moved like that`)
}

const foresee = async (user: Foreseen['user'], run: Run, options: DryRunOptions): Promise<Foreseen> => {
  const before = await run.context.accounts.find(user.userId)
  if (options.skipsEnabled && before?.state === 'enabled')
    return { user, would: 'is here already, and is left as it is', isLeft: true, found: nothingFound }
  const refused = (text: string): Foreseen => ({
    user,
    would: undefined,
    isLeft: false,
    found: { ...nothingFound, risks: [{ kind: 'refused', found: text, advice: '', isBlocking: true }] },
  })
  const refusal = options.anew ? undefined : refusalOf(user, before)
  if (refusal !== undefined) return refused(refusal)
  const answer = await ask(user, run)
  if (!answer.ok) return refused(answer.text)
  const would = answer.risks.some(fails) ? undefined : wordsFor(user, before, options)
  return { user, would, isLeft: false, found: answer }
}

/** A server that is away may be back later, and now it would fail. */
const fails = ({ kind, isBlocking }: ToldRisk): boolean => isBlocking || kind === 'unreachable'

const wordsFor = (
  { password }: User,
  before: AccountRecord | undefined,
  { anew }: Pick<DryRunOptions, 'anew'>,
): string => {
  const mail = anew && before !== undefined ? 'all mail that is here is removed, and comes anew; ' : ''
  if (before === undefined)
    return `${mail}${password === undefined ? 'the account is made at the first login' : 'the account is made'}`
  if (password === undefined) return `${mail}the account stays ${before.state}`
  return `${mail}the account (${before.state}) is enabled, with this password`
}

const ask = async ({ given, userId, password, properties }: User, { bus, signal }: Run): Promise<DryRunAnswer> => {
  const request: DryRunRequest = {
    type: 'migration-dry-run',
    user: given,
    userId,
    properties,
    ...(password === undefined ? {} : { password: password.toString('base64') }),
  }
  try {
    return (await bus.ask('ms_sync', request, { secret: true, timeoutMs: pullMs, signal })) as DryRunAnswer
  } catch (error) {
    signal.throwIfAborted()
    throw new CommandError(`ms_syncd: ${(error as Error).message}`)
  }
}

const print = ({ user, would, isLeft, found }: Foreseen, width: number, { context }: Run): void => {
  const { backends, ms, measured, risks, scripts, scriptsNotTold } = found
  const sum = (count: 'mailboxes' | 'messages' | 'octets') =>
    backends.reduce((total, backend) => total + backend[count], 0)
  const isIn = backends.length > 0
  const counts = isIn
    ? [
        `${String(sum('mailboxes')).padStart(6)} mailboxes`,
        `${String(sum('messages')).padStart(8)} messages`,
        octetsText(sum('octets')).padStart(12),
        ...(scripts === undefined || scripts === 0 ? [] : [`${scripts} Sieve scripts`]),
        `about ${durationText(ms)}`,
      ]
    : []
  const lines = [
    [user.userId.padEnd(width), ...counts, would ?? 'WOULD FAIL'].join('  '),
    ...risks.flatMap(({ kind, found, advice }) => [
      `    ${kind}: ${found}`,
      ...(advice === '' ? [] : [`      ${advice}`]),
    ]),
    ...(scriptsNotTold === undefined ? [] : [`    Sieve scripts: ${scriptsNotTold}`]),
  ]
  context.print(lines.join('\n'), {
    userId: user.userId,
    ...(user.line === undefined ? {} : { line: user.line }),
    wouldFail: would === undefined,
    ...(would === undefined ? {} : { would }),
    isLeft,
    isLoggedIn: isIn,
    mailboxes: sum('mailboxes'),
    messages: sum('messages'),
    octets: sum('octets'),
    largest: Math.max(0, ...backends.map(({ largest }) => largest)),
    ms,
    measured,
    backends,
    risks,
    ...(scripts === undefined ? {} : { scripts }),
    ...(scriptsNotTold === undefined ? {} : { scriptsNotTold }),
  })
}
