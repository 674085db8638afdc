/** The common form of LIST and UIDL: a line for each message, or the one of the message that was asked for. RFC 1939 §5, §7 */
import { setImmediate } from 'node:timers/promises'
import { decimal, words } from '../proto/pop3/command.ts'
import { ok, terminator } from '../proto/pop3/response.ts'
import type { Maildrop } from './maildrop.ts'
import type { Session } from './session.ts'

/** Lines between two looks at whether the client keeps up, and turns of the other sessions. */
const LINES_PER_PIECE = 1000

/** Answers the text of a one-line response; undefined when the listing was written. Throws Refusal and SyntaxFault. */
export async function scan(
  { maildrop, output }: Session,
  argument: Buffer | undefined,
  describe: (number: number) => string,
  heading: (maildrop: Maildrop) => string,
): Promise<string | undefined> {
  const [only] = words(argument, 0, 1)
  if (only !== undefined) {
    const number = decimal(only)
    maildrop.message(number)
    return `${number} ${describe(number)}`
  }
  output.write(ok(heading(maildrop)))
  let lines = 0
  for (const number of maildrop.numbers()) {
    output.write(`${number} ${describe(number)}\r\n`)
    if (++lines % LINES_PER_PIECE > 0) continue
    await output.flow()
    await setImmediate()
  }
  output.write(terminator)
  return undefined
}
