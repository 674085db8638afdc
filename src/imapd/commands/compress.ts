/** COMPRESS, RFC 4978: what follows the reply passes as DEFLATE, both ways. docs/decisions/0325-compression.md */
import { readCompressArgs } from '../../proto/imap/compress.ts'
import { command, loggedIn } from '../command.ts'
import { Refusal } from '../replies.ts'

export const compress = command({
  name: 'COMPRESS',
  states: loggedIn,
  capabilities: ({ loggedIn, isCompressed }) => (loggedIn && !isCompressed ? ['COMPRESS=DEFLATE'] : []),
  parse: readCompressArgs,
  async run({ connection, input }, { algorithm }) {
    if (algorithm !== 'DEFLATE') throw new Refusal('BAD', undefined, 'Unknown algorithm, only DEFLATE is there')
    if (connection.isCompressed) throw new Refusal('NO', 'COMPRESSIONACTIVE', 'DEFLATE active via COMPRESS')
    // RFC 4978 §3 forbids them: nobody could say whether the client takes them for compressed.
    if (input.pending > 0)
      throw new Refusal('BAD', undefined, 'Commands behind COMPRESS came before its answer: not compressing')
    return { text: 'DEFLATE active', afterReply: () => connection.compress() }
  },
})
