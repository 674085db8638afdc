/**
 * The nth call of an operation fails, for every n; or it is made and reported as failed, as network file systems do. What was refused is
 * absent or whole, what was acknowledged is there, and the process goes on.
 */

import { StoreError } from '#src/base/errors.ts'
import type { Account } from '#src/store/types.ts'
import { deliver } from '../actions.ts'
import { type Call, type MemoryDisk, systemError } from '../disk.ts'
import { type Job, type Result, sample } from './jobs.ts'
import {
  contents,
  drive,
  type Operation,
  operations,
  preparedAccount,
  stages,
  unlessAllowed,
  type Verdict,
  worksOn,
} from './operations.ts'
import { breathe, inOneTurn, quiet } from './turns.ts'

interface Kind {
  readonly proof: string
  readonly codes: readonly string[]
  concerns(call: Call): boolean
  verdict(code: string, call: Call): Verdict
}

const failing: Kind = {
  proof: 'failing calls',
  codes: ['ENOSPC', 'EIO', 'EROFS', 'EMFILE'],
  concerns: () => true,
  verdict: (code, { path }) => systemError(code, path),
}
const lying: Kind = {
  proof: 'lying calls',
  codes: ['EEXIST', 'ENOENT', 'EIO', 'ESTALE'],
  concerns: ({ operation }) => operation === 'link' || operation === 'rename',
  verdict: (code, { path }) => ({ madeButTold: systemError(code, path) }),
}

async function run(name: string, operation: Operation, kind: Kind, share: number): Promise<Result> {
  const prepared = await preparedAccount(operation)
  const allowed = await stages(operation, prepared)
  const calls: Call[] = []
  await drive(
    prepared.clone(),
    operation,
    () => 0,
    (call) => {
      calls.push(call)
      return undefined
    },
  )
  const faults: string[] = []
  let cases = 0
  let resolved = 0
  const concerned = [...calls.keys()].filter((index) => kind.concerns(calls[index]!))
  for (const nth of sample(concerned, share)) {
    for (const code of kind.codes) {
      cases += 1
      const outcome = await one(name, operation, kind, nth, code)
      if (outcome.resolved) resolved += 1
      if (outcome.faults.length === 0) continue
      const { operation: what, path } = calls[nth]!
      faults.push([`${name}: ${code} at call ${nth}, ${what} ${path}`, ...outcome.faults].join('\n  '))
    }
    if (faults.length > 0) break
  }
  await breathe()
  return { cases, details: { calls: calls.length, resolved }, faults }

  async function one(what: string, by: Operation, { verdict }: Kind, nth: number, code: string) {
    const disk = prepared.clone()
    let count = -1
    try {
      const driven = await drive(
        disk,
        by,
        () => 0,
        (call) => {
          count += 1
          return count === nth ? verdict(code, call) : undefined
        },
      )
      const { acknowledged, failure } = driven
      const found = [...unlessAllowed(await contents(disk.clone(), by), allowed, acknowledged)]
      if (failure !== undefined && !(failure instanceof StoreError))
        found.push(`${what} failed with ${String(failure)}`)
      if (failure === undefined && acknowledged < by.steps.length) found.push(`${what} never came to its end`)
      return { resolved: failure === undefined, faults: [...found, ...(await goesOn(disk, by, driven.account))] }
    } catch (error) {
      return { resolved: false, faults: [String(error)] }
    }
  }
}

/** The process itself, then another one. */
async function goesOn(disk: MemoryDisk, operation: Operation, account: Account): Promise<readonly string[]> {
  const delivered = await deliver(await account.open('INBOX'), 'by the same process')
  await quiet()
  return 'uid' in delivered ? await worksOn(disk, operation) : [`what came later became ${JSON.stringify(delivered)}`]
}

/** `share`: of the calls that fail, 0 to 1; those that lie are few. */
export function failingCalls(share: number): Job[] {
  return [failing, lying].flatMap((kind) =>
    Object.entries(operations).map(([name, operation]) => ({
      proof: kind.proof,
      name: `${kind.proof}, ${name}`,
      run: () => inOneTurn(() => run(name, operation, kind, kind === lying ? 1 : share)),
    })),
  )
}
