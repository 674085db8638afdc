/** Asks ms_syncd about the records of migrations. */
import type { MigrationList, MigrationVerdicts } from '../../auth/migration-questions.ts'
import type { UserId } from '../../base/ids.ts'
import { connected } from '../event-bus.ts'
import { CommandError, type Context, canonical } from './command.ts'

export type Verb = 'list' | 'pause' | 'resume'

const timeoutMs = 10 * 60_000
/** A mail server waits. */
const shortMs = 20_000

/** Of these users, or of all. Throws CommandError when something asked for was not done, or a record can't be read. */
export const aboutRecords = async (verb: Verb, given: readonly string[], context: Context): Promise<void> => {
  const userIds = given.map((name) => canonical(name, context))
  await using bus = await connected(context.config, 'msadm')
  const asked = { type: `migration-${verb}`, ...(userIds.length === 0 ? {} : { userIds }) }
  const answer = await bus.ask('ms_sync', asked, { timeoutMs }).catch((error: Error) => {
    throw new CommandError(`ms_syncd: ${error.message}`)
  })
  const failures =
    verb === 'list' ? listed(answer as MigrationList, context) : decided(answer as MigrationVerdicts, verb, context)
  if (failures.length > 0) throw new CommandError(failures.join('\n'))
}

/** Whether the old server has the account of this user again, or is getting it. Throws RemoteError. */
export const isGivenBack = async (userId: UserId, { config }: Context): Promise<boolean> => {
  await using bus = await connected(config, 'msadm')
  const asked = { type: 'migration-list', userIds: [userId] }
  const { migrations } = (await bus.ask('ms_sync', asked, { timeoutMs: shortMs })) as MigrationList
  return migrations.some(({ state }) => state === 'rolling-back' || state === 'rolled-back')
}

const listed = ({ migrations, damaged }: MigrationList, { print }: Context): readonly string[] => {
  for (const migration of migrations) {
    const { userId, state, since, listed: there, here, notGiven, octets, reason, wave, leftOut, beside } = migration
    const counts = `${here} of ${there} messages${notGiven === 0 ? '' : `, ${notGiven} not given`}, ${octets} octets`
    const why = reason === undefined ? '' : ` (${reason})`
    const of = wave === undefined ? '' : `, wave ${wave}`
    const lines = [
      `${userId} ${state} since ${new Date(since).toISOString()}: ${counts}${of}${why}`,
      ...(leftOut ?? []).map(
        (name) => `    not given: the mailbox ${JSON.stringify(name)}, which is listed and does not open`,
      ),
      ...(beside?.notGiven ?? []).map((line) => `    not given: ${line}`),
    ]
    print(lines.join('\n'), migration)
  }
  return damaged
}

const decided = ({ verdicts, damaged }: MigrationVerdicts, verb: 'pause' | 'resume', { print, json }: Context) => {
  const done = verb === 'pause' ? 'paused' : 'goes on'
  for (const verdict of verdicts)
    if (verdict.refusal === undefined) print(`${verdict.userId}: ${done}`, verdict)
    else if (json) print('', verdict)
  return [
    ...damaged,
    ...verdicts.flatMap(({ userId, refusal }) => (refusal === undefined ? [] : [`${userId}: ${refusal}`])),
  ]
}
