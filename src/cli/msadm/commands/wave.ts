import type { WaveSummary, WaveVerdict } from '../../../auth/ms-syncd-waves.ts'
import { systemClock } from '../../../base/clock.ts'
import type { EventBus } from '../../../events/types.ts'
import { connected } from '../../event-bus.ts'
import { type Command, CommandError, type Context, canonical, readArguments, UsageError } from '../command.ts'
import { untilInterrupted } from '../interrupt.ts'
import { timeOf } from '../time.ts'
import { ask, type ChangingRequest } from '../wave/ask.ts'
import { createWave, readPriority } from '../wave/create.ts'
import { showList, showPlan, showStatus, showStragglers, showSummary } from '../wave/show.ts'
import { follow } from '../wave/watch.ts'

const switches = {
  f: { type: 'string', short: 'f' },
  n: { type: 'string', short: 'n' },
  w: { type: 'boolean', short: 'w' },
  v: { type: 'boolean', short: 'v' },
  q: { type: 'boolean', short: 'q' },
  host: { type: 'string' },
  account: { type: 'string' },
  closing: { type: 'string' },
  every: { type: 'string' },
} as const
type Values = ReturnType<typeof readArguments<typeof switches>>['values']
type Switch = keyof typeof switches

interface Call {
  readonly name: string
  readonly values: Values
  /** Behind the name. */
  readonly words: readonly string[]
  readonly bus: EventBus
  readonly context: Context
}

interface Verb {
  readonly takes: readonly Switch[]
  /** Words behind the name. */
  readonly words?: string
  run(call: Call): Promise<void>
}

/** Begins a task in ms_syncd, and with -w waits until it is done. */
const task = (takes: readonly Switch[], request: (call: Call) => ChangingRequest): Verb => ({
  takes: [...takes, 'w', 'q'],
  run: async (call) => {
    const { bus, context, values, name } = call
    const { wave } = await ask(bus, request(call))
    if (values.w)
      await waitFor(call, (now) => now.task === undefined || now.state === 'paused' || now.state === 'watch')
    else {
      showSummary(wave, context)
      context.note(`ms_syncd goes on with it; msadm wave watch ${name} follows it`)
    }
  },
})

const change = (
  takes: readonly Switch[],
  words: string | undefined,
  request: (call: Call) => ChangingRequest,
): Verb => ({
  takes,
  ...(words === undefined ? {} : { words }),
  run: async (call) => showSummary((await ask(call.bus, request(call))).wave, call.context),
})

/** Of users that are named; throws CommandError when one was refused. */
const members = (verb: 'retry' | 'remove'): Verb => ({
  takes: [],
  words: 'userid ...',
  run: async ({ bus, name, words, context }) => {
    if (words.length === 0) throw new UsageError(`userids are needed, for example: ${verb} first joe@example.org`)
    const userIds = words.map((user) => canonical(user, context))
    const { verdicts } = await ask(bus, { type: 'wave', verb, name, userIds })
    const said = ({ userId, text }: WaveVerdict) => `${userId} ${text}`
    for (const verdict of verdicts)
      if (context.json || verdict.outcome !== 'refused') context.print(said(verdict), verdict)
    const refused = verdicts.filter(({ outcome }) => outcome === 'refused')
    if (refused.length > 0) throw new CommandError(refused.map(said).join('\n'))
  },
})

const show = (takes: readonly Switch[], run: Verb['run']): Verb => ({ takes, run })

/** Throws CommandError when somebody failed. */
const waitFor = async ({ bus, name, context, values }: Call, until: (wave: WaveSummary) => boolean): Promise<void> => {
  const quiet = values.q === true
  const wave = await untilInterrupted('interrupted; ms_syncd goes on with it', (signal) =>
    follow(bus, name, context, until, { signal, quiet }),
  )
  showSummary(wave, context)
  if (wave.failed > 0)
    throw new CommandError(`${wave.failed} of ${wave.members} users failed; msadm wave status ${name} tells why`)
}

const verbs: Readonly<Record<string, Verb>> = {
  inventory: task([], ({ name }) => ({ type: 'wave', verb: 'inventory', name })),
  plan: show([], ({ bus, name, context }) => showPlan(bus, name, context)),
  start: task(['n'], ({ name, values }) => ({
    type: 'wave',
    verb: 'start',
    name,
    ...(values.n === undefined ? {} : { first: countOf('-n', values.n, 1) }),
  })),
  pause: change([], undefined, ({ name }) => ({ type: 'wave', verb: 'pause', name })),
  resume: change([], undefined, ({ name }) => ({ type: 'wave', verb: 'resume', name })),
  priority: change([], 'NUMBER userid ...', ({ name, words: [number = '', ...users], context }) => {
    const priority = readPriority(number)
    if (priority === undefined || users.length === 0)
      throw new UsageError('a number and userids are needed, for example: priority first 10 joe@example.org')
    return { type: 'wave', verb: 'priority', name, priority, userIds: users.map((user) => canonical(user, context)) }
  }),
  retry: members('retry'),
  remove: members('remove'),
  limits: change(['n', 'host', 'account'], undefined, ({ name, values: { n, host, account } }) => {
    if (n === undefined && host === undefined && account === undefined)
      throw new UsageError('one of -n, --host and --account is needed')
    return {
      type: 'wave',
      verb: 'limits',
      name,
      limits: {
        ...(n === undefined ? {} : { atOnce: countOf('-n', n, 1) }),
        ...(host === undefined ? {} : { perHost: countOf('--host', host, 0) }),
        ...(account === undefined ? {} : { accountMb: countOf('--account', account, 0) }),
      },
    }
  }),
  delta: task([], ({ name }) => ({ type: 'wave', verb: 'delta', name })),
  cutover: task(['closing', 'every'], ({ name, values: { closing, every } }) => {
    if (closing === undefined && every !== undefined) throw new UsageError('--every belongs to --closing')
    return {
      type: 'wave',
      verb: 'cutover',
      name,
      ...(closing === undefined ? {} : { closing: timeOf(closing, Math.floor(systemClock.now() / 1_000)) * 1_000 }),
      ...(every === undefined ? {} : { everyMs: countOf('--every', every, 1) * 60_000 }),
    }
  }),
  stragglers: show([], ({ bus, name, context }) => showStragglers(bus, name, context)),
  status: show(['v'], ({ bus, name, values, context }) => showStatus(bus, name, values.v === true, context)),
  watch: show(['q'], (call) => waitFor(call, (wave) => wave.task === undefined)),
}

/** Throws UsageError. */
const countOf = (name: string, text: string, least: number): number => {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= least)) throw new UsageError(`${name} takes a whole number from ${least} on`)
  return number
}

export const wave: Command = {
  name: 'wave',
  usage: 'wave {create NAME -f file | list | VERB NAME [switches]}',
  summary: 'moves many users together: inventory, plan, pull, cutover, and what still arrives at the old server',
  words: ['create', 'list', ...Object.keys(verbs)],
  details: `Verbs, in the order in which a wave needs them
  create NAME -f file   puts the users of a CSV file into the wave: userid, and where there are such columns password, priority, and properties of the account
  list                  all waves
  inventory NAME        logs in for every user and counts by listings alone; nothing is pulled, and nothing changed there
  plan NAME             how long it will take, and what stands in the way, by account, with what to do about it
  start NAME            pulls all mail, and makes the accounts; again: those who failed
  pause, resume NAME    pulls that run are stopped, and go on where they were
  priority NAME NUMBER userid ...   higher ones come first; 0 at first
  retry NAME userid ...    moves users again who were given back to the old server (msadm rollback), or failed: at once where the wave pulls, else by the next start
  remove NAME userid ...   takes users out of the wave: a pull is stopped, what was kept for it is destroyed, and another wave may have them; who is here stays so
  limits NAME           see below
  delta NAME            pulls what has come since
  cutover NAME          the last pull; then the accounts are closed, and the passwords for the old server are destroyed
  stragglers NAME       what has come from the old servers behind the cutover, and who sent it
  status, watch NAME    how far it is; watch follows it until it is done

  -f file               CSV in UTF-8, whose first line names the columns; nothing is done unless every line can be used, and the same file can be given again
  -n number             start: pauses behind so many users, whose pulls the forecast is made of; limits: users at the same time
  -w                    waits until it is done
  -q                    tells nothing until then
  -v                    status: every user, and not only those with something to tell
  --host number         limits: users at the same time at one old server; 0 is no limit of its own
  --account number      limits: users with more MB than this are left out; 0 is none
  --closing date        cutover: until then the old servers are asked for mail that still arrives, which is delivered here once
  --every minutes       with --closing: how often; 15 where it is not given

ms_syncd does all of this, with auto_migrate and the old server as for msadm migrate, and goes on with it when it is restarted; msadm only asks. Without --closing nothing can be asked of the
old server behind the cutover: there is no password left. Who could not be pulled for the last time is not closed, and tried again by another cutover.
Exit status: 0 done; 1 refused, or with -w and watch some users failed.

Examples
  msadm wave create first -f users.csv        msadm wave inventory first -w && msadm wave plan first
  msadm wave limits first -n 8 --host 4       msadm wave start first -n 10 -w && msadm wave plan first
  msadm wave resume first && msadm wave watch first
  msadm wave cutover first --closing 2026-12-31 --every 30`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, switches)
    const [verb, name, ...words] = positionals
    if (verb === undefined)
      throw new UsageError(`a verb is missing; one of create, list, ${Object.keys(verbs).join(', ')}`)
    const known = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
    const isOther = verb === 'create' || verb === 'list'
    if (known === undefined && !isOther)
      throw new UsageError(
        `${JSON.stringify(verb.slice(0, 60))} is no verb; there are create, list, ${Object.keys(verbs).join(', ')}`,
      )
    if (verb !== 'list' && name === undefined)
      throw new UsageError(`the name of the wave is missing, for example: msadm wave ${verb} first`)
    const takes: readonly string[] = known?.takes ?? (verb === 'create' ? ['f'] : [])
    for (const given of Object.keys(values))
      if (!takes.includes(given))
        throw new UsageError(`${given.length === 1 ? '-' : '--'}${given} does not belong to ${verb}`)
    const extra = verb === 'list' ? name : known?.words === undefined ? words[0] : undefined
    if (extra !== undefined) throw new UsageError(`${JSON.stringify(extra)} is one word too many`)
    if (verb === 'create') {
      if (values.f === undefined) throw new UsageError('-f file is needed, a CSV file with a column userid')
      return await createWave(name!, values.f, context)
    }
    await using bus = await connected(context.config, 'msadm')
    if (known === undefined) return await showList(bus, context)
    await known.run({ name: name!, values, words, bus, context })
  },
}
