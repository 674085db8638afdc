/** STORE. RFC 9051 §6.4.6, §9 rules store, store-att-flags; RFC 4466 §2.5 store-modifier; RFC 7162 §3.1.3 */

import type { MessageSet } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

export interface StoreArgs {
  readonly set: MessageSet
  /** FLAGS, +FLAGS, -FLAGS. */
  readonly mode: 'set' | 'add' | 'remove'
  /** .SILENT */
  readonly silent: boolean
  readonly flags: readonly string[]
  /** Messages with a higher MODSEQ are left alone. */
  readonly unchangedSince: number | undefined
}

/** `SP sequence-set [SP "(" store-modifier *(SP store-modifier) ")"] SP store-att-flags CRLF` */
export function readStoreArgs(input: TokenReader): StoreArgs {
  input.sp()
  const set = input.messageSet()
  input.sp()
  let unchangedSince: number | undefined
  if (input.peek() === '(') {
    input.parenthesised('store-modifier', () => {
      if (input.keyword('store-modifier') !== 'UNCHANGEDSINCE' || unchangedSince !== undefined)
        throw input.tokenFault('store-modifier', 'UNCHANGEDSINCE, once')
      input.sp()
      unchangedSince = input.number64('mod-sequence-valzer')
    })
    input.sp()
  }
  const mode = input.tryChar('+') ? 'add' : input.tryChar('-') ? 'remove' : 'set'
  const item = input.keyword('store-att-flags')
  if (item !== 'FLAGS' && item !== 'FLAGS.SILENT')
    throw input.tokenFault('store-att-flags', 'FLAGS or FLAGS.SILENT, maybe with + or -,')
  input.sp()
  const flags = input.peek() === '(' ? input.flagList() : input.bareFlags()
  input.end()
  return { set, mode, silent: item === 'FLAGS.SILENT', flags, unchangedSince }
}
