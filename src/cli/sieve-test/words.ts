/** Actions in the words of people. */
import type { Action, EditedMessage, Outcome, ScriptProblem } from '../../sieve/types.ts'

export const problemInWords = ({ line, column, text, script }: ScriptProblem): string =>
  `${script === undefined ? '' : `${script}: `}line ${line}, column ${column}: ${text}`

/** One line each. */
export function outcomeInWords({ actions, error, warnings }: Outcome): readonly string[] {
  return [
    ...warnings.map((problem) => `warning: ${problemInWords(problem)}`),
    ...(error === undefined ? [] : [`failed, and the message is kept: ${problemInWords(error)}`]),
    ...(actions.length === 0 ? ['the message is thrown away'] : actions.map(actionInWords)),
  ]
}

const quoted = (text: string) => JSON.stringify(text.toWellFormed())
const isSaid = (part: string | undefined): part is string => part !== undefined
const sentence = (...parts: readonly (string | undefined)[]): string => parts.filter(isSaid).join(', ')

function actionInWords(action: Action): string {
  switch (action.type) {
    case 'keep':
      return sentence(
        action.implicit ? 'keep (nothing else was said)' : 'keep',
        flags(action.flags),
        edited(action.message),
      )
    case 'fileinto':
      return sentence(
        `file into ${quoted(action.mailbox)}`,
        action.specialUse && `or where the use ${action.specialUse} is`,
        action.create ? 'which is made when it is missing' : undefined,
        flags(action.flags),
        edited(action.message),
      )
    case 'redirect':
      return sentence(
        `send on to ${action.list === undefined ? action.address : `the list ${quoted(action.list)}`}`,
        edited(action.message),
      )
    case 'discard':
      return 'discard'
    case 'reject':
    case 'ereject':
      return `refuse (${action.type}) with the reason ${quoted(action.reason)}`
    case 'vacation':
      return sentence(
        `answer that the user is away: ${quoted(action.reason)}`,
        action.subject && `subject ${quoted(action.subject)}`,
        action.periodSeconds === undefined
          ? undefined
          : `again to the same sender after ${action.periodSeconds} seconds`,
      )
    case 'notify':
      return sentence(`notify ${quoted(action.method)}`, action.message && quoted(action.message))
    case 'remember-duplicate':
      return `remember the id ${quoted(action.id)}, for the next duplicate test`
  }
}

const flags = (given: readonly string[] | undefined): string | undefined =>
  given === undefined ? undefined : given.length === 0 ? 'without flags' : `with the flags ${given.join(' ')}`

const edited = (message: EditedMessage | undefined): string | undefined =>
  message === undefined ? undefined : `with a changed ${message.body === undefined ? 'header' : 'message'}`
