/** Keeping a copy of what a script sends. RFC 8580 */

import type { Arguments, CompileContext, Extension } from '../language.ts'
import { checkUse, useProblem } from './special-use.ts'

const on = ['vacation', 'notify']

const needsFcc = (given: Arguments, context: CompileContext): void => {
  if (!given.has('fcc')) context.error(given.position, 'say by :fcc "mailbox" where the copy is kept')
}

export const fcc: Extension = {
  capability: 'fcc',
  tags: [
    {
      name: 'fcc',
      on,
      value: 'string',
      decorate(action, given, run) {
        if (action.type !== 'vacation' && action.type !== 'notify') return action
        const use = given.findText('specialuse')
        const specialUse = use?.of(run)
        const problem = specialUse === undefined ? undefined : useProblem(specialUse)
        if (problem !== undefined) run.fail(use!.position, problem)
        const flags = given.findTexts('flags')?.of(run)
        return {
          ...action,
          fcc: { mailbox: given.text('fcc').of(run), flags, create: given.has('create'), specialUse },
        }
      },
    },
    { name: 'flags', on, value: 'string-list', capability: 'imap4flags', check: needsFcc },
    { name: 'create', on, capability: 'mailbox', check: needsFcc },
    {
      name: 'specialuse',
      on,
      value: 'string',
      capability: 'special-use',
      check(given, context) {
        needsFcc(given, context)
        checkUse(given.text('specialuse'), context)
      },
    },
  ],
}
