import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import { formatAppendUid } from '#src/proto/imap/append.ts'
import { formatChallenge } from '#src/proto/imap/authenticate.ts'
import { formatCopyUid } from '#src/proto/imap/copy.ts'
import { formatEnabled } from '#src/proto/imap/enable.ts'
import { FetchResponse } from '#src/proto/imap/fetch-response.ts'
import { formatFlagList } from '#src/proto/imap/flags.ts'
import { formatId } from '#src/proto/imap/id.ts'
import { formatListLine } from '#src/proto/imap/list.ts'
import { formatNamespace } from '#src/proto/imap/namespace.ts'
import {
  capabilityCode,
  formatCapability,
  formatContinuation,
  formatNumbered,
  formatStatusResponse,
} from '#src/proto/imap/response.ts'
import { formatSearch } from '#src/proto/imap/search.ts'
import { formatStatus } from '#src/proto/imap/status.ts'
import { formatAstring, formatMailbox, formatNstring, formatString } from '#src/proto/imap/strings.ts'
import { argsOf } from './receive.ts'

describe('responses as the RFCs write them', () => {
  it('status responses', () => {
    expect(formatStatusResponse('a002', 'OK', 'SELECT completed', 'READ-WRITE')).toBe(
      'a002 OK [READ-WRITE] SELECT completed\r\n',
    )
    expect(formatStatusResponse(undefined, 'BYE', 'IMAP4rev1 server terminating connection')).toBe(
      '* BYE IMAP4rev1 server terminating connection\r\n',
    )
    expect(formatStatusResponse('a', 'OK', 'x', capabilityCode(['IMAP4rev1', 'IDLE']))).toBe(
      'a OK [CAPABILITY IMAP4rev1 IDLE] x\r\n',
    )
    expect(formatContinuation('idling')).toBe('+ idling\r\n')
    expect(formatChallenge(Buffer.from('User Name'))).toBe('+ VXNlciBOYW1l\r\n')
    expect(formatChallenge(Buffer.alloc(0))).toBe('+ \r\n')
  })

  it('data lines', () => {
    expect(formatCapability(['IMAP4rev1', 'STARTTLS', 'AUTH=GSSAPI'])).toBe(
      '* CAPABILITY IMAP4rev1 STARTTLS AUTH=GSSAPI\r\n',
    )
    expect(formatListLine('UTF-7', 'LIST', ['\\Noselect'], '~/Mail/foo')).toBe('* LIST (\\Noselect) "/" ~/Mail/foo\r\n')
    expect(formatListLine('UTF-7', 'LSUB', [], 'Gelöscht')).toBe('* LSUB () "/" Gel&APY-scht\r\n')
    expect(
      formatStatus('UTF-7', 'blurdybloop', [
        ['MESSAGES', 231],
        ['UIDNEXT', 44292],
      ]),
    ).toBe('* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n')
    expect([...formatSearch('SEARCH', [2, 84, 882])].join('')).toBe('* SEARCH 2 84 882\r\n')
    expect([...formatSearch('SEARCH', [])].join('')).toBe('* SEARCH\r\n')
    expect([...formatSearch('SEARCH', [2, 5], 917162500)].join('')).toBe('* SEARCH 2 5 (MODSEQ 917162500)\r\n')
    expect(formatNumbered(23, 'EXISTS')).toBe('* 23 EXISTS\r\n')
    expect(formatEnabled(['X-GOOD-IDEA'])).toBe('* ENABLED X-GOOD-IDEA\r\n')
    expect(formatEnabled([])).toBe('* ENABLED\r\n')
    expect(formatFlagList(['\\Answered', '\\*'])).toBe('(\\Answered \\*)')
    expect(formatNamespace('UTF-7', { personal: [''], otherUsers: ['Other Users/'], shared: [] })).toBe(
      '* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL\r\n',
    )
    expect(
      formatId([
        ['name', 'Cyrus'],
        ['version', undefined],
      ]),
    ).toBe('* ID ("name" "Cyrus" "version" NIL)\r\n')
    expect(formatId([])).toBe('* ID NIL\r\n')
  })

  it('UIDPLUS codes (RFC 4315 §3)', () => {
    const pairs = [
      [304, 3956],
      [319, 3957],
      [320, 3958],
    ].map(([source, target]) => [source as Uid, target as Uid] as const)
    expect(formatCopyUid(38505, pairs)).toBe('COPYUID 38505 304,319:320 3956:3958')
    expect(formatAppendUid(38505, [3955] as Uid[])).toBe('APPENDUID 38505 3955')
    expect(formatAppendUid(38505, [3955, 3956, 3957, 3960] as Uid[])).toBe('APPENDUID 38505 3955:3957,3960')
  })
})

describe('B13: nothing breaks out of its line', () => {
  const hostile = fc.string({ unit: 'binary', maxLength: 40 })
  it('text and codes', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        for (const line of [formatStatusResponse('a', 'NO', text, `X ${text}`), formatContinuation(text)])
          expect(line).toMatch(/^[^\r\n\0]*\r\n$/)
        expect(formatStatusResponse('a', 'NO', text)).toMatch(/^a NO [\x20-\x7e]+\r\n$/)
      }),
    )
  })
  it('mailbox names', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        expect(formatListLine('UTF-7', 'LIST', [], name)).toMatch(/^[\x20-\x7e]*\r\n$/)
        expect(argsOf(`a X ${formatMailbox(name)}`).tryChar(' ')).toBe(true)
      }),
    )
  })
  it('strings come back as they were, whatever octets they hold but NUL', () => {
    const octets = fc.array(fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(0x22, 0x5c, 0x0d, 0x0a)), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(octets, fc.constantFrom(1, 80), (list, times) => {
        const text = String.fromCharCode(...list).repeat(times)
        for (const format of [formatString, formatAstring, formatNstring]) {
          const args = argsOf(`a X ${format(text).replace('}\r\n', '+}\r\n')}`)
          args.sp()
          expect(format === formatNstring ? args.nstring() : args.astring()).toBe(text)
          args.end()
        }
      }),
    )
    expect([formatAstring('NIL'), formatAstring(''), formatAstring('a]b'), formatAstring('a b')]).toEqual([
      '"NIL"',
      '""',
      'a]b',
      '"a b"',
    ])
    expect(formatNstring(undefined)).toBe('NIL')
  })
})

describe('FetchResponse', () => {
  const collect = () => {
    const written: (Uint8Array | string)[] = []
    return { written, text: () => written.map((piece) => Buffer.from(piece as string).toString('latin1')).join('') }
  }

  it('writes items and literals in the order given, bodies untouched', () => {
    const { written, text } = collect()
    const response = new FetchResponse((piece) => written.push(piece), 12)
    response.item('FLAGS', '(\\Seen)')
    response.literal('BODY[HEADER]', 10)
    const chunk = Buffer.from('A: b\r\n')
    response.octets(chunk)
    expect(response.literalLeft).toBe(4)
    response.octets(Buffer.from('c\r\n\n'))
    response.nil('BODY[9]')
    response.literal('BODY[TEXT]', 0)
    response.end()
    expect(text()).toBe(
      '* 12 FETCH (FLAGS (\\Seen) BODY[HEADER] {10}\r\nA: b\r\nc\r\n\n BODY[9] NIL BODY[TEXT] {0}\r\n)\r\n',
    )
    expect(written[1]).toBe(chunk)
  })

  it('never lets a literal be shorter or longer than announced', () => {
    const response = new FetchResponse(() => {}, 1)
    response.literal('BODY[]', 2)
    expect(() => response.octets(Buffer.alloc(3))).toThrow('more octets')
    response.octets(Buffer.alloc(1))
    expect(() => response.end()).toThrow('1 octets of the literal are missing')
    expect(() => response.item('UID', '1')).toThrow('missing')
  })
})
