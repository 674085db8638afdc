/** Plays a row of a script (`test/support/script.ts`) against a whole synchronisation. */
import { expect } from 'vitest'
import { BackendError } from '#gateway/backend/errors.ts'
import type { SyncResult } from '#gateway/sync/sync.ts'
import { systemClock } from '#src/base/clock.ts'
import type { Backend } from '#src/config/backends.ts'
import { follow, octetsOf, type Row, type Rule } from '#test/support/script.ts'
import type { Exchange, ScriptedServer } from '#test/support/scripted-server.ts'
import { quick } from '../backend/maildrop.ts'
import { type LogLine, recordingLog } from '../ms_syncd/support.ts'
import { backendAt, contents, Syncer, testStore, userId } from '../sync/support.ts'

export interface Stage<E extends Exchange> {
  readonly server: ScriptedServer<E>
  readonly backend: Partial<Backend>
  /** `set` and `change` lines, after the verb. */
  set(words: readonly string[]): void
  change(words: readonly string[]): void
  /** Messages at the backend, by the number that a script has for them. */
  there(): ReadonlyMap<string, Buffer>
}

const subjectOf = (octets: Buffer): string => {
  const [, stub, subject = ''] = /^Subject: (\[not available yet\])? ?(.*?)\r$/m.exec(octets.toString('latin1')) ?? []
  return stub === undefined ? subject : `~${subject}`
}

const limits = { ...quick, replyMs: 2_000, progressMs: 2_000, messageOctets: 4_000_000, listingOctets: 1_000_000 }

/**
 * Steps: `set …`, `change …`, `pass [kind]` (of the failure), `here subjects…` (`~2`: a stub; in any order), `in mailbox subjects…`, `mailboxes names, …`, `create mailbox` (as a client here), `asked pattern`, `unasked pattern`, `password octets`
 * (that users log in with), `held count` and `slowed` (what the last pass told), `new host` (nobody knows whether it refuses passwords), `log pattern`.
 *
 * At the end the server is a correct one, unless a row says `goes on`, and two passes a day later everything is here exactly once, octet for octet. What
 * can't be is listed: `kept n octets` is here as it was given at first, whatever is there.
 */
export const play = async <E extends Exchange>(row: Row, stage: Stage<E>): Promise<void> => {
  await using test = await testStore()
  const { server } = stage
  const syncer = new Syncer(test.store, backendAt(server.port, stage.backend), { limits })
  const exists = () => test.store.account(userId).exists()
  const here = async () => ((await exists()) ? await contents(test.store) : [])
  const rules: Rule[] = []
  const kept = new Map<string, Buffer>()
  const lines: LogLine[] = []
  let password = Buffer.from('pw')
  let result: SyncResult | undefined
  let goesOn = false
  const pass = async () => {
    result = undefined
    result = await syncer.sync({}, { password, log: recordingLog(lines) })
  }
  for (const step of row.steps) {
    if ('rule' in step) {
      rules.push(step.rule)
      follow(server, rules)
      continue
    }
    const [verb, ...words] = step.line.split(' ')
    const pattern = new RegExp(words.join(' '))
    if (verb === 'set') stage.set(words)
    else if (verb === 'change') stage.change(words)
    else if (verb === 'pass') {
      const failure = await pass().catch((error: unknown) =>
        error instanceof BackendError ? error.kind : String(error),
      )
      expect(failure, step.line).toBe(words[0])
    } else if (verb === 'here') expect((await here()).map(subjectOf).sort(), step.line).toEqual(words.toSorted())
    else if (verb === 'asked')
      expect(
        server.received.some((line) => pattern.test(line)),
        step.line,
      ).toBe(true)
    else if (verb === 'unasked')
      expect(
        server.received.filter((line) => pattern.test(line)),
        step.line,
      ).toEqual([])
    else if (verb === 'mailboxes') {
      const list = await test.store.account(userId).list()
      expect(list.map(({ name }) => name).sort(), step.line).toEqual(words.join(' ').split(', ').sort())
    } else if (verb === 'password') password = Buffer.from(octetsOf(words.join(' ')), 'latin1')
    else if (verb === 'create') {
      await test.store.account(userId).ensure()
      await test.store.account(userId).create(words.join(' '))
    } else if (verb === 'in')
      expect((await contents(test.store, words[0])).map(subjectOf).sort(), step.line).toEqual(words.slice(1).toSorted())
    else if (verb === 'held') expect(result?.held, step.line).toBe(Number(words[0]))
    else if (verb === 'slowed') expect(result?.slowed, step.line).toBe(true)
    else if (verb === 'log')
      expect(
        lines.some(({ message, fields }) => pattern.test(`${message} ${JSON.stringify(fields)}`)),
        step.line,
      ).toBe(true)
    else if (verb === 'kept') kept.set(words[0]!, Buffer.from(octetsOf(words.slice(1).join(' ')), 'latin1'))
    else if (step.line === 'goes on') goesOn = true
    else if (step.line === 'new host')
      delete syncer.access.profiles.of('127.0.0.1', server.port).learned.nonsenseRefusedAt
    else throw new Error(`a row says ${step.line}`)
  }
  if (!goesOn) server.reset()
  syncer.clock = { ...systemClock, now: () => Date.now() + 86_400_000 }
  for (let round = 0; round < 2; round++) await pass()
  const expected = new Map([...stage.there(), ...kept])
  const sorted = (all: readonly Buffer[]) => all.map((octets) => octets.toString('latin1')).sort()
  expect(sorted(await here())).toEqual(sorted([...expected.values()]))
}
