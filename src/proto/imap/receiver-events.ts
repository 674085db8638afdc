/** What `CommandReceiver.next` answers. */

import type { TokenReader } from './token-reader.ts'

/** A command's head. Nothing is known yet of whether the name exists. */
export interface Command {
  readonly tag: string
  /** Upper case; of `UID FETCH` it is 'FETCH'. */
  readonly name: string
  /** The command came with the UID prefix. RFC 9051 §6.4.9 */
  readonly uid: boolean
  /** Stands behind the name, before the SP of the first argument. */
  readonly args: TokenReader
}

export type ReceiverEvent =
  /** Complete up to its CRLF. Read the arguments, run it, answer with its tag. */
  | { readonly type: 'command'; readonly command: Command }
  /** A synchronising literal was announced and is acceptable: send "+ " CRLF, then go on with `next`. */
  | { readonly type: 'continuation' }
  /**
   * APPEND up to its message literal, which is within the limit. Read the head (`readAppendHead`), then call
   * `accept` (having sent "+ " when `synchronising`) or `refuse` (and answer with the tag) before `next`.
   */
  | {
      readonly type: 'append'
      readonly command: Command
      readonly sizeOctets: number
      readonly synchronising: boolean
    }
  /** The next octets of the accepted message literal, as they came. */
  | { readonly type: 'octets'; readonly octets: Buffer }
  /** The message literal is complete and so is the command: answer with APPEND's tag. */
  | { readonly type: 'append-end' }
  /** The line asked for by `expectLine`, without its CRLF. */
  | { readonly type: 'line'; readonly octets: Buffer }
  | ReceiverFault

/** What came is no command that we take. The receiver is behind it already (or skips it): answer, then go on with `next`. */
export interface ReceiverFault {
  readonly type: 'fault'
  /** The client's tag where it could be read; undefined: answer untagged ('*'), or with the tag of the command that asked for a line. */
  readonly tag: string | undefined
  readonly status: 'BAD' | 'NO'
  /** Response code without brackets. */
  readonly code: 'TOOBIG' | undefined
  /** For the client; names the rule. Holds nothing that the client sent. */
  readonly text: string
  /** Too much is to come: say BYE and close, nothing can be read from here any more. */
  readonly close: boolean
}
