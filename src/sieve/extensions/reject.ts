/** Refusing a message, with a text for its sender. RFC 5429 */

import type { CommandSpec, Extension } from '../language.ts'

const refuse = (type: 'reject' | 'ereject'): CommandSpec => ({
  name: type,
  positional: [{ name: 'reason', type: 'string' }],
  compile(given) {
    const reason = given.text('reason')
    return (run) => run.act({ type, reason: reason.of(run) }, given.position)
  },
})

export const reject: Extension = { capability: 'reject', commands: [refuse('reject')] }

export const ereject: Extension = { capability: 'ereject', commands: [refuse('ereject')] }
