/** Mailboxes by what they are used for. RFC 8579 */

import type { CompileContext, Extension, Text } from '../language.ts'

/** RFC 6154 §2: a use begins with a backslash. */
export const useProblem = (use: string): string | undefined =>
  /^\\[^\s()<>{%*"\\\]\0-\x1f\x7f]+$/.test(use)
    ? undefined
    : `"${use.slice(0, 60)}" is no special use: write one such as "\\\\Junk"`

export const checkUse = (text: Text, context: CompileContext): void => {
  const problem = text.constant === undefined ? undefined : useProblem(text.constant)
  if (problem !== undefined) context.error(text.position, problem)
}

export const specialUse: Extension = {
  capability: 'special-use',
  tests: [
    {
      name: 'specialuse_exists',
      positional: [
        { name: 'mailbox', type: 'string', optional: true },
        { name: 'special-use-attrs', type: 'string-list' },
      ],
      compile(given) {
        const mailbox = given.findText('mailbox')
        const uses = given.texts('special-use-attrs')
        return async (run) => {
          run.spend(100)
          return (await run.environment.specialUseExists?.(mailbox?.of(run), uses.of(run))) === true
        }
      },
    },
  ],
  tags: [
    {
      name: 'specialuse',
      on: ['fileinto'],
      value: 'string',
      check: (given, context) => checkUse(given.text('specialuse'), context),
      decorate(action, given, run) {
        const use = given.text('specialuse')
        const problem = useProblem(use.of(run))
        if (problem !== undefined) run.fail(use.position, problem)
        return action.type === 'fileinto' ? { ...action, specialUse: use.of(run) } : action
      },
    },
  ],
}
