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

/** Octets of a message that a client wants to send. */
export interface MessageLiteral {
  readonly sizeOctets: number
  /** The client waits to be asked for them. */
  readonly synchronising: boolean
  /** literal8: NUL may be among them. RFC 3516 §4.4 */
  readonly binary: boolean
}

export type ReceiverEvent =
  /** Complete up to its CRLF. Read the arguments, run it, answer with its tag. */
  | { readonly type: 'command'; readonly command: Command }
  /** A synchronising literal was announced and is acceptable: send "+ " CRLF, then go on with `next`. */
  | { readonly type: 'continuation' }
  /**
   * APPEND up to its first message literal, which is within the limit. Read the arguments (`AppendReader`), then call
   * `accept` (having sent "+ " when synchronising) or `refuse` (and answer with the tag) before `next`.
   */
  | { readonly type: 'append'; readonly command: Command; readonly literal: MessageLiteral }
  /** The next octets of the accepted message literal, as they came. */
  | { readonly type: 'octets'; readonly octets: Buffer }
  /**
   * The message literal is complete. The text behind it reaches to another one, which is to be accepted or refused like the first, or,
   * where that is undefined, to the end of the command: answer with its tag.
   */
  | { readonly type: 'append-text'; readonly text: TokenReader; readonly literal: MessageLiteral | undefined }
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
  readonly code: 'TOOBIG' | `METADATA MAXSIZE ${number}` | undefined
  /** For the client; names the rule. Holds nothing that the client sent. */
  readonly text: string
  /** Too much is to come: say BYE and close, nothing can be read from here any more. */
  readonly close: boolean
}
