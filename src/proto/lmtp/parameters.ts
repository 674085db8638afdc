/** Parameters of MAIL and RCPT: which there are, and what they may say. */
import { SyntaxFault } from '../../base/errors.ts'
import { decodeXtext } from './xtext.ts'

type Check = (value: string) => boolean

const is =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value.toUpperCase())
/** At most so many characters as they are given. */
const xtext =
  (maxCharacters: number): Check =>
  (value) =>
    value !== '' && value.length <= maxCharacters && decodeXtext(value) !== undefined

const notifications = ['SUCCESS', 'FAILURE', 'DELAY']
const mailParameters: ReadonlyMap<string, Check> = new Map<string, Check>([
  // RFC 1870 §3
  ['SIZE', (value) => /^\d{1,20}$/.test(value)],
  // RFC 6152 §2, RFC 3030 §3
  ['BODY', is('7BIT', '8BITMIME', 'BINARYMIME')],
  // RFC 6531 §3.1 item 4
  ['SMTPUTF8', is('')],
  // RFC 3461 §4.3, §4.4
  ['RET', is('FULL', 'HDRS')],
  ['ENVID', xtext(100)],
  // RFC 4954 §5
  ['AUTH', xtext(500)],
])
const recipientParameters: ReadonlyMap<string, Check> = new Map<string, Check>([
  // RFC 3461 §4.1
  [
    'NOTIFY',
    (value) => {
      const words = value.toUpperCase().split(',')
      return value.toUpperCase() === 'NEVER' || words.every((word) => notifications.includes(word))
    },
  ],
  // RFC 3461 §4.2; the address type utf-8 of RFC 6533 §3 has a form of its own
  [
    'ORCPT',
    (value) => {
      const semicolon = value.indexOf(';')
      if (value.length > 500 || !/^[A-Za-z0-9-]+$/.test(value.slice(0, Math.max(semicolon, 0)))) return false
      const address = value.slice(semicolon + 1)
      const isUtf8 = value.slice(0, semicolon).toLowerCase() === 'utf-8'
      return isUtf8 ? /^[!-~\u{80}-\u{10ffff}]+$/u.test(address) : xtext(500)(address)
    },
  ],
])

/** Throws SyntaxFault `unknown parameter` for one that nobody offered, `parameter` for a value that it can't have. */
export const checkMailParameters = (parameters: ReadonlyMap<string, string>): void => check(parameters, mailParameters)
/** The same of RCPT. */
export const checkRecipientParameters = (parameters: ReadonlyMap<string, string>): void =>
  check(parameters, recipientParameters)

function check(parameters: ReadonlyMap<string, string>, known: ReadonlyMap<string, Check>): void {
  for (const [keyword, value] of parameters) {
    const isValid = known.get(keyword)
    if (isValid === undefined) throw new SyntaxFault(`the parameter ${keyword} is not known here`, 'unknown parameter')
    if (!isValid(value)) throw new SyntaxFault(`${keyword} can't have this value`, 'parameter')
  }
}
