/** Checks `.places/` of a root: what was begun about accounts and has not come to its end. */

import { accountOf } from '../names.ts'
import { attemptNames, claimName } from '../places.ts'
import { statuses } from './folders-check.ts'
import type { Place, Run } from './run.ts'
import { checkStray } from './stray.ts'

/** `places`: the folder. */
export async function checkPlaces(run: Run, place: Place, places: string): Promise<void> {
  for await (const [name, status] of statuses(run, places)) {
    const userId = status.isDirectory ? accountOf(name) : undefined
    if (userId === undefined) await checkStray(run, place, `${places}/${name}`, status)
    else await checkAttempts(run, { ...place, userId }, `${places}/${name}`)
  }
}

async function checkAttempts(run: Run, place: Place, folder: string): Promise<void> {
  for await (const [id, status] of statuses(run, folder)) {
    const path = `${folder}/${id}`
    // Whose turn it is, and probes of the clock, which are as young as what asks for them.
    if (id === claimName || (status.kind === 'file' && !run.isOld(status))) continue
    if (!status.isDirectory) await checkStray(run, place, path, status)
    else await checkAttempt(run, place, path)
  }
}

async function checkAttempt(run: Run, place: Place, path: string): Promise<void> {
  const { userId } = place
  let isOld = false
  let known = 0
  for await (const [name, status] of statuses(run, path)) {
    if (!attemptNames.has(name)) {
      // A young one is a turn that somebody is about to take.
      if (run.isOld(status)) await checkStray(run, place, `${path}/${name}`, status)
    } else {
      known += 1
      // A mover that lives touches it all the time; without it the account was just being made.
      if (name === 'beat' || name === 'new') isOld ||= run.isOld(status)
    }
  }
  if (known === 0 || !isOld) return
  await run.found({ kind: 'account-way', path, userId }, async () => {
    await using store = run.openStore()
    // Whoever goes through the accounts ends what can be ended.
    for await (const _ of store.accounts());
    if ((await run.fs.list(path).catch(() => [])).length > 0)
      throw new Error('it is not a day old yet for those who would end it')
  })
}
