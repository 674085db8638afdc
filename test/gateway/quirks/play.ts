/** Plays a row of a script (`test/support/script.ts`) against a whole synchronisation. */
import { expect } from 'vitest'
import { BackendError } from '#gateway/backend/errors.ts'
import { systemClock } from '#src/base/clock.ts'
import type { Backend } from '#src/config/backends.ts'
import { follow, type Row, type Rule } from '#test/support/script.ts'
import type { Exchange, ScriptedServer } from '#test/support/scripted-server.ts'
import { quick } from '../backend/maildrop.ts'
import { backendAt, contents, Syncer, testStore, userId } from '../sync/support.ts'

export interface Stage<E extends Exchange> {
  readonly server: ScriptedServer<E>
  readonly backend: Partial<Backend>
  /** `set` and `change` lines, after the verb. */
  set(words: readonly string[]): void
  change(words: readonly string[]): void
  /** Messages at the backend. */
  there(): readonly Buffer[]
}

const subjectOf = (octets: Buffer): string => {
  const [, stub, subject = ''] = /^Subject: (\[not available yet\])? ?(.*?)\r$/m.exec(octets.toString('latin1')) ?? []
  return stub === undefined ? subject : `~${subject}`
}

const limits = { ...quick, replyMs: 2_000, progressMs: 2_000, messageOctets: 4_000_000, listingOctets: 1_000_000 }

/**
 * Steps: `set …`, `change …`, `pass [kind]` (of the failure), `here subjects…` (`~2`: a stub; in any order), `asked pattern`, `unasked pattern`, `end`.
 * Unless a row ends with `end` the server is a correct one then, and two passes a day later everything is here exactly once, octet for octet.
 */
export const play = async <E extends Exchange>(row: Row, stage: Stage<E>): Promise<void> => {
  await using test = await testStore()
  const { server } = stage
  const syncer = new Syncer(test.store, backendAt(server.port, stage.backend), { limits })
  const exists = () => test.store.account(userId).exists()
  const here = async () => ((await exists()) ? await contents(test.store) : [])
  const rules: Rule[] = []
  let ended = false
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
      const failure = await syncer.sync().then(
        () => undefined,
        (error: unknown) => (error instanceof BackendError ? error.kind : String(error)),
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
    } else if (verb === 'end') ended = true
    else throw new Error(`a row says ${step.line}`)
  }
  if (ended) return
  server.reset()
  syncer.clock = { ...systemClock, now: () => Date.now() + 86_400_000 }
  for (let pass = 0; pass < 2; pass++) await syncer.sync()
  const sorted = (all: readonly Buffer[]) => all.map((octets) => octets.toString('latin1')).sort()
  expect(sorted(await here())).toEqual(sorted(stage.there()))
}
