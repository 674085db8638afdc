import { describe, expect, it } from 'vitest'
import type { BackendError } from '../../../../gateway/backend/errors.ts'
import { parseStatus } from '../../../../gateway/backend/imap/connection.ts'
import { type Part, ResponseReader } from '../../../../gateway/backend/imap/response-reader.ts'
import { parseValues, type Value } from '../../../../gateway/backend/imap/values.ts'

const limits = { responseOctets: 10_000, literalOctets: 1_000_000 }

/** Everything that a reader makes of octets that come in these pieces; literals behind `BODY[]` are streamed. */
function read(pieces: readonly Buffer[]) {
  const responses: (readonly Part[])[] = []
  const bodies: string[] = []
  let fault: BackendError | undefined
  const reader = new ResponseReader(
    {
      literal: (before) => {
        if (!String(before.at(-1)).endsWith('BODY[] ')) return undefined
        let body = ''
        return {
          write: (chunk) => {
            body += chunk.toString('latin1')
          },
          end: () => void bodies.push(body),
          abort: () => void bodies.push(`${body} (cut)`),
        }
      },
      response: (parts) => void responses.push(parts),
      stalled: () => {},
      fault: (error) => {
        fault = error
        reader.abort(error)
      },
    },
    limits,
  )
  for (const piece of pieces) reader.push(piece)
  return { responses, bodies, fault: fault?.kind }
}

const octets = (text: string) => Buffer.from(text, 'latin1')
const transcript = octets(
  '* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {12}\r\nSubject: x\r\n)\r\n' +
    '* LIST (\\HasNoChildren) "/" {3}\r\na"b\r\n* 2 FETCH (BODY[] {0}\r\n UID 8)\r\n* OK [UIDNEXT 9] \xe9t\xe9\r\nw1 OK done\n+ go\r\n',
)
const whole = read([transcript])

describe('responses of an IMAP server', () => {
  it('are what the octets say', () => {
    expect(whole).toEqual({
      responses: [
        ['* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] ', { octets: 12 }, ')'],
        ['* LIST (\\HasNoChildren) "/" ', octets('a"b'), ''],
        ['* 2 FETCH (BODY[] ', { octets: 0 }, ' UID 8)'],
        ['* OK [UIDNEXT 9] \xe9t\xe9'],
        ['w1 OK done'],
        ['+ go'],
      ],
      bodies: ['Subject: x\r\n', ''],
      fault: undefined,
    })
  })

  it('are the same wherever the octets are cut', () => {
    for (let at = 1; at < transcript.length; at += 1)
      expect(read([transcript.subarray(0, at), transcript.subarray(at)])).toEqual(whole)
    expect(read(Array.from(transcript, (octet) => Buffer.from([octet])))).toEqual(whole)
  })

  it.each([
    ['a line without end', 'x'.repeat(10_001), 'limit'],
    ['a literal that is too large', '* 1 FETCH (BODY[] {8589934592}\r\n', 'limit'],
    ['a collected literal that is too large', '* LIST () "/" {10001}\r\n', 'limit'],
    ['a length of 20 digits', '* 1 FETCH (BODY[] {12345678901234567890}\r\n', 'protocol'],
    ['a length that is none', '* 1 FETCH (BODY[] {}\r\n', 'protocol'],
  ])('%s ends the session', (_, text, kind) => {
    expect(read([octets(text)]).fault).toBe(kind)
  })

  it('takes {012} for twelve (I8)', () => {
    expect(read([octets('* 1 FETCH (BODY[] {012}\r\nSubject: x\r\n)\r\n')]).bodies).toEqual(['Subject: x\r\n'])
  })
})

describe('values', () => {
  const values = (text: string): Value[] => parseValues([text])
  it.each([
    ['1 FETCH (FLAGS (\\Seen $X) UID 4)', ['1', 'FETCH', ['FLAGS', ['\\Seen', '$X'], 'UID', '4']]],
    ['BODY[HEADER.FIELDS (DATE FROM)]<0> NIL', ['BODY[HEADER.FIELDS (DATE FROM)]<0>', null]],
    ['"a\\"b\\\\" "" "NIL"', [octets('a"b\\'), octets(''), octets('NIL')]],
    ['()', [[]]],
    ['((a)(b))', [[['a'], ['b']]]],
    ['\0\0a', ['a']],
  ])('%s', (text, expected) => expect(values(text)).toEqual(expected))

  it.each([
    [')', 'protocol'],
    ['(', 'protocol'],
    ['"open', 'protocol'],
    ['('.repeat(100), 'limit'],
    ['a '.repeat(100_001), 'limit'],
  ])('%.20s is refused', (text, kind) => expect(() => values(text)).toThrow(expect.objectContaining({ kind })))
})

describe('a status', () => {
  it.each([
    ['OK [HIGHESTMODSEQ 9]', { condition: 'OK', code: 'HIGHESTMODSEQ', codeText: '9', text: '' }],
    ['NO [AUTHENTICATIONFAILED] no', { condition: 'NO', code: 'AUTHENTICATIONFAILED', codeText: '', text: 'no' }],
    ['BAD', { condition: 'BAD', code: undefined, codeText: '', text: '' }],
    ['OK [COPYUID 701  ] x', { condition: 'OK', code: 'COPYUID', codeText: '701  ', text: 'x' }],
  ])('%s', (line, status) => expect(parseStatus(line)).toEqual(status))
  it('is not just anything', () => expect(parseStatus('OKAY fine')).toBeUndefined())
})
