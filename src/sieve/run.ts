/** Runs compiled scripts on a message. RFC 5228 §2.10 */

import type { Environment, Outcome, Script, SieveMessage } from './types.ts'

/**
 * The scripts one after the other: the next is run as long as the message is still kept (implicitly or by `keep`), and then decides about the keep anew. Never rejects for what a
 * script does; what the environment throws comes through.
 */
export async function run(
  _scripts: readonly Script[],
  _message: SieveMessage,
  _environment: Environment,
): Promise<Outcome> {
  return { actions: [{ type: 'keep', implicit: true }], warnings: [] }
}
