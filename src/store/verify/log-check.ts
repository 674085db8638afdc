/** Checks a log, and has the store rebuild it. */

import { codeOf } from '../fs.ts'
import type { Replica } from '../replica.ts'
import type { LogProblem, LogScan, LogView } from './log-scan.ts'
import { quarantine } from './quarantine.ts'
import type { Place, Run } from './run.ts'

export interface CheckedLog<State extends Replica<unknown>> {
  readonly scan: LogScan<State>
  readonly place: Place
  /** What is wrong with the state itself. */
  readonly stateProblems: (view: LogView<State>) => Promise<readonly LogProblem[]>
  /** Opens what the log is of in a store of its own, which recovers what it finds damaged. */
  readonly open: () => Promise<void>
}

/** Answers the log as it is afterwards, and whether all of it can be relied on. Throws StoreError not-found when it went away. */
export async function checkLog<State extends Replica<unknown>>(
  run: Run,
  log: CheckedLog<State>,
): Promise<{ readonly view: LogView<State>; readonly sound: boolean }> {
  let { view, problems } = await look(log)
  if (problems.length > 0) {
    // Once more: what others were just doing is done by now.
    const before = new Set(problems.map(keyOf))
    const again = await look(log)
    view = again.view
    problems = again.problems.filter((problem) => before.has(keyOf(problem)))
  }
  const { userId, mailbox } = log.place
  const later = problems.some(({ kind }) => kind === 'log-later')
  let rebuilding: Promise<LogView<State>> | undefined
  const rebuilt = async () => {
    rebuilding ??= rebuild(run, log)
    view = await rebuilding
  }
  let sound = true
  for (const { kind, path, detail } of problems)
    sound = (await run.found({ kind, path, userId, mailbox, detail }, later ? undefined : rebuilt)) && sound
  return { view, sound }
}

const keyOf = ({ kind, path }: LogProblem) => `${kind} ${path}`

async function look<State extends Replica<unknown>>(log: CheckedLog<State>) {
  const view = await log.scan.read()
  return { view, problems: [...view.problems, ...(await log.stateProblems(view))] }
}

/** Ways to have a log rebuilt, from the one that keeps most to the one that keeps least. Each looks at what the one before has left. */
async function rebuild<State extends Replica<unknown>>(run: Run, log: CheckedLog<State>): Promise<LogView<State>> {
  const { folders } = log.scan
  const away = (path: string) => quarantine(run.fs, log.place.top, path)
  const ways = [
    async () => {},
    // What the store can read, and then not apply.
    async (_view: LogView<State>, problems: readonly LogProblem[]) => {
      for (const { kind, path } of problems) if (kind === 'log-entry') await away(path).catch(unlessGone)
    },
    // What the newest epoch begins with is in doubt: what the one before it and the files tell is taken.
    async ({ epochs }: LogView<State>) => {
      const newest = epochs.at(-1)
      if (newest !== undefined) await away(folders.entryPath(newest, newest.start))
    },
    async ({ epochs }: LogView<State>) => {
      for (const epoch of epochs) await away(folders.pathOf(epoch))
    },
  ]
  let failure: unknown
  for (const way of ways) {
    const before = await look(log)
    await way(before.view, before.problems)
    await log.open().catch((error: unknown) => {
      failure = error
    })
    const { view, problems } = await look(log)
    const newest = view.epochs.at(-1)
    if (problems.some(({ epoch }) => epoch === undefined || epoch === newest)) continue
    if (problems.length === 0) return view
    // What is left is in epochs that nobody needs to go on; whoever still stands on one reads the newest anew.
    for (const epoch of view.epochs.slice(0, -1)) await away(folders.pathOf(epoch)).catch(unlessGone)
    const last = await look(log)
    if (last.problems.length === 0) return last.view
  }
  throw new Error('the log is still damaged after it was rebuilt', { cause: failure })
}

function unlessGone(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}
