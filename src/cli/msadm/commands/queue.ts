import { systemClock } from '../../../base/clock.ts'
import { StoreError } from '../../../base/errors.ts'
import { spoolOf } from '../../../submission/settings.ts'
import type { Entry, Spool, Waiting } from '../../../submission/spool.ts'
import { type Command, CommandError, type Context, readArguments, UsageError } from '../command.ts'

export const queue: Command = {
  name: 'queue',
  usage: 'queue list | queue retry [id …] | queue remove id …',
  summary:
    'mail that Sieve scripts send (redirected messages, vacation replies …) and that the submission server has not taken yet',
  words: ['list', 'retry', 'remove'],
  details: `  list         every message: id, what it is, from whom, to whom, whose script it was, since when, and what the server said
  retry        tries the messages again within 15 seconds, or all of them; lmtpd has to run
  remove       throws them away; nobody is told

Exit status: 0 done; 1 there is no message of this id; 64 wrong arguments.

Examples
  msadm --json queue list                     msadm queue retry
  msadm queue remove mi3x0a1c-Fd0pQ7Jm5tBk`,
  run: async (args, context) => {
    const [action, ...ids] = readArguments(args, {}).positionals
    const spool = spoolOf(context.config, systemClock)
    if (action === 'list' && ids.length > 0) throw new UsageError('list takes no id')
    if (action === 'list') await list(spool, context)
    else if (action === 'retry')
      for (const waiting of await chosen(spool, ids)) {
        if ((await spool.postpone(waiting, systemClock.now())) === undefined) continue
        context.print(`${waiting.id} is tried again`, { id: waiting.id })
      }
    else if (action === 'remove') {
      if (ids.length === 0) throw new UsageError('remove needs the id of a message; queue list shows them')
      for (const waiting of await chosen(spool, ids)) {
        if (!(await spool.remove(waiting))) throw new CommandError(`${waiting.id} is being sent now`)
        context.print(`${waiting.id} is removed`, { id: waiting.id })
      }
    } else throw new UsageError('list, retry or remove is needed, for example: queue list')
  },
}

/** Those of the ids, or all. Throws CommandError when one is not there. */
async function chosen(spool: Spool, ids: readonly string[]): Promise<readonly Waiting[]> {
  const all = await spool.waiting()
  const unknown = ids.find((id) => !all.some((each) => each.id === id))
  if (unknown !== undefined)
    throw new CommandError(`there is no message ${JSON.stringify(unknown)}; queue list shows them`)
  return ids.length === 0 ? all : all.filter(({ id }) => ids.includes(id))
}

async function list(spool: Spool, { print }: Context): Promise<void> {
  let count = 0
  for (const waiting of await spool.waiting()) {
    const entry = await read(spool, waiting)
    if (entry === undefined) continue
    count++
    if (typeof entry === 'string') {
      print(`${waiting.id} ${entry}`, { id: waiting.id, damaged: entry })
      continue
    }
    const { id, kind, sender, recipient, owner, createdMs, sizeOctets, attempts, dueMs, lastReply } = entry
    const [since, due] = [createdMs, dueMs].map((ms) => `${new Date(ms).toISOString().slice(0, 19)}Z`)
    print(
      `${id} ${kind} <${sender}> to <${recipient}>, for ${owner}, ${sizeOctets} octets, since ${since}, next at ${due}${lastReply === undefined ? '' : `: ${lastReply}`}`,
      { id, kind, from: sender, to: recipient, owner, octets: sizeOctets, since, due, attempts, reply: lastReply },
    )
  }
  if (count === 0) print('nothing waits', { waiting: 0 })
}

/** What is wrong with it, for a damaged one; undefined when it was sent meanwhile. */
async function read(spool: Spool, waiting: Waiting): Promise<Entry | string | undefined> {
  try {
    await using opened = await spool.open(waiting)
    return opened?.entry
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'damaged') return error.message
    throw error
  }
}
