import fc from 'fast-check'
import iconv from 'iconv-lite'
import { describe, expect, it } from 'vitest'
import { decodeMailboxName, encodeMailboxName, foldInbox } from '#src/proto/imap/mailbox-name.ts'

describe('modified UTF-7 (RFC 3501 §5.1.3)', () => {
  it.each([
    ['~peter/mail/&U,BTFw-/&ZeVnLIqe-', '~peter/mail/台北/日本語'],
    ['&Jjo-!', '☺!'],
    ['&U,BTF2XlZyyKng-', '台北日本語'],
    ['R&AOk-sum&AOk-', 'Résumé'],
    ['a&-b', 'a&b'],
    ['&2D3eAA-', '😀'],
    ['', ''],
  ])('%s', (octets, name) => {
    expect(decodeMailboxName(octets)).toBe(name)
    expect(encodeMailboxName(name)).toBe(octets)
  })

  it.each([
    ['&Jjo!', 'RFC: no shift back before "!"'],
    ['&U,BTFw-&ZeVnLIqe-', 'RFC: superfluous shift'],
    ['&', 'unterminated'],
    ['a&b', 'unterminated'],
    ['&AGE-', 'printable ASCII in base64'],
    ['&AOk', 'unterminated'],
    ['&AO-', 'half a unit'],
    ['&AOkA-', 'octets left over'],
    ['&AOl-', 'bits left over'],
    ['&AOk=-', 'padding'],
    ['&/wA-', '"/" for ","'],
    ['&2D0-', 'half a surrogate pair'],
    ['&3gDYPQ-', 'surrogates in the wrong order'],
    ['R\xe9sum\xe9', '8-bit'],
    ['a\tb', 'control'],
    ['&AOk-&-&AOk', 'unterminated at the end'],
  ])('%j is refused: %s', (octets) => expect(decodeMailboxName(octets)).toBeUndefined())

  it('comes back for every name, and agrees with iconv-lite', () => {
    const name = fc.string({ unit: 'binary', maxLength: 30 })
    fc.assert(
      fc.property(name, (text) => {
        const octets = encodeMailboxName(text)
        expect(octets).toMatch(/^[\x20-\x7e]*$/)
        expect(decodeMailboxName(octets)).toBe(text)
        expect(iconv.decode(Buffer.from(octets), 'utf-7-imap')).toBe(text)
      }),
    )
  })

  it('accepts one spelling of a name only', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...'&-AOk,+a/U'), { maxLength: 12 }), (chars) => {
        const octets = chars.join('')
        const name = decodeMailboxName(octets)
        if (name !== undefined) expect(encodeMailboxName(name)).toBe(octets)
      }),
      { numRuns: 2000 },
    )
  })

  it('INBOX in any case is INBOX, also as a level above others', () => {
    expect(['iNbOx', 'inbox/x', 'inboxes', 'x/inbox', 'inbox '].map(foldInbox)).toEqual([
      'INBOX',
      'INBOX/x',
      'inboxes',
      'x/inbox',
      'inbox ',
    ])
  })
})
