/** IDLE, RFC 2177: tells what happens in the selected mailbox while the client waits. */
import { readNoArgs } from '../../proto/imap/no-args.ts'
import { formatContinuation } from '../../proto/imap/response.ts'
import { command, loggedIn } from '../command.ts'
import { pushUntil } from '../push.ts'
import { Refusal } from '../replies.ts'
import { endsSession, type Session } from '../session.ts'

export const idle = command({
  name: 'IDLE',
  states: loggedIn,
  looks: 'if-possible',
  capabilities: () => ['IDLE'],
  parse: readNoArgs,
  async run(session) {
    session.output.write(formatContinuation('idling'))
    session.activity('idling')
    try {
      await tellUntil(session, session.input.line())
    } finally {
      session.activity()
    }
    return undefined
  },
})

/** Pushes news until the client's line is there. */
async function tellUntil(session: Session, line: Promise<Buffer>): Promise<void> {
  try {
    await pushUntil(session, line, true)
  } catch (error) {
    // The answer has to wait for the line: nobody else may read it. Only the end of the session can't.
    if (!endsSession(error)) await line
    throw error
  }
  if ((await line).toString('latin1').toUpperCase() !== 'DONE')
    throw new Refusal('BAD', undefined, 'Expected DONE, which ends IDLE')
}
