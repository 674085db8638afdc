/** What a server says, as a client reads it. RFC 5804 §1.2, §1.3 */
import type { Token } from './token.ts'

/** The line that ends an answer. */
export interface Completion {
  readonly status: 'OK' | 'NO' | 'BYE'
  /** Upper case, without what it is given. */
  readonly code: string | undefined
  /** What TAG and SASL are given. */
  readonly codeData: Buffer | undefined
  /** For people; octets as they came, in latin1. */
  readonly text: string
}

/** Undefined: a line of the answer itself. */
export function completionOf(tokens: readonly Token[]): Completion | undefined {
  const [first, ...rest] = tokens
  const status = first?.type === 'atom' ? first.text.toUpperCase() : ''
  if (status !== 'OK' && status !== 'NO' && status !== 'BYE') return undefined
  const end = rest.findIndex((token) => token.type === 'parenthesis' && token.text === ')')
  const hasCode = rest[0]?.type === 'parenthesis' && end > 0
  const [name, data] = hasCode ? rest.slice(1, end) : []
  const text = (hasCode ? rest.slice(end + 1) : rest).find((token) => token.type === 'string')
  return {
    status,
    code: name?.type === 'atom' ? name.text.toUpperCase() : undefined,
    codeData: data?.type === 'string' ? data.octets : undefined,
    text: text?.octets.toString('latin1') ?? '',
  }
}
