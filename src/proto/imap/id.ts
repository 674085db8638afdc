/** ID. RFC 2971 */

import { formatNstring, formatString } from './strings.ts'
import type { TokenReader } from './token-reader.ts'

/** Field names and values, octets in latin1; undefined for NIL. */
export type IdParams = readonly (readonly [field: string, value: string | undefined])[]

/** RFC 2971 §3.3 */
const mostFields = 30
const fieldOctets = 30
const valueOctets = 1024

export interface IdArgs {
  /** Empty for NIL. */
  readonly params: IdParams
}

/** `SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil) CRLF` */
export function readIdArgs(input: TokenReader): IdArgs {
  const rule = 'id-params-list'
  input.sp()
  if (input.peek() !== '(') {
    if (input.nstring(rule) !== undefined) throw input.tokenFault(rule, 'NIL or a list')
    input.end()
    return { params: [] }
  }
  const params = input.parenthesised(
    rule,
    (): readonly [string, string | undefined] => {
      const field = input.string(rule)
      input.sp()
      const value = input.nstring(rule)
      if (field.length > fieldOctets || (value?.length ?? 0) > valueOctets)
        throw input.tokenFault(rule, `fields up to ${fieldOctets} and values up to ${valueOctets} octets`)
      return [field, value]
    },
    { empty: true },
  )
  if (params.length > mostFields) throw input.tokenFault(rule, `at most ${mostFields} fields`)
  input.end()
  return { params }
}

/** `* ID ("name" "Wherry")`, or `* ID NIL` without params. */
export function formatId(params: IdParams): string {
  const fields = params.map(([field, value]) => `${formatString(field)} ${formatNstring(value)}`)
  return `* ID ${fields.length === 0 ? 'NIL' : `(${fields.join(' ')})`}\r\n`
}
