import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { authenticatedLimits, preAuthLimits } from '#src/proto/imap/limits.ts'
import { CommandReceiver } from '#src/proto/imap/receiver.ts'
import { octets, receive, shown } from './receive.ts'

const message = 'From: a@example.org\r\n\r\n{5}\r\na2 NOOP\r\n'
const conversation = octets(
  [
    'a1 login "fred" {7}\r\nfat man\r\n',
    'a2 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n',
    'a3 uid fetch 1:* flags\r\n',
    `a4 APPEND saved-messages (\\Seen) {${message.length}}\r\n${message}\r\n`,
    `a5 APPEND {5+}\r\nINBOX "17-Jul-1996 02:44:25 -0700" {${message.length}+}\r\n${message}\r\n`,
    'a6 APPEND INBOX {0+}\r\n\r\n',
    'a7 XPIG-LATIN {0}\r\n\r\n',
    '+ NOOP\r\n\r\na8 NOOP\n{3+}\r\nabc\r\na9 FETCH 1 ~{3+}\r\nabc\r\n',
    'a10 UID\r\na11 logout\r\n',
  ].join(''),
)

describe('CommandReceiver', () => {
  it('gives commands, literals and messages as RFC 9051 §4.3 and RFC 7888 §3 write them', () => {
    expect(shown(receive([conversation]))).toEqual([
      'continuation',
      'command a1 LOGIN [" ","fred"," ","fat man"]',
      'command a2 LOGIN [" ","FRED FOOBAR"," ","fat man"]',
      'command a3 UID FETCH [" ","1:","*"," ","flags"]',
      `append a4 saved-messages message [["\\\\Seen"],null], literal ${message.length} sync`,
      `octets ${JSON.stringify(message)}`,
      'append-text end, done',
      `append a5 INBOX message [[],837596665], literal ${message.length} non-sync`,
      `octets ${JSON.stringify(message)}`,
      'append-text end, done',
      'append a6 INBOX message [[],null], literal 0 non-sync',
      'append-text end, done',
      'continuation',
      'command a7 XPIG-LATIN [" ",""]',
      'fault * BAD - go on: tag: expected a tag at octet 0',
      'fault * BAD - go on: tag: expected a tag at octet 0',
      'fault a8 BAD - go on: CRLF: expected CR before LF',
      'fault * BAD - go on: literal: not allowed before tag and command',
      'fault a9 BAD - go on: literal8: "~{" is for messages and annotations only; send a literal that starts with "{"',
      'fault a10 BAD - go on: SP: expected a space and a further argument at octet 7',
      'command a11 LOGOUT []',
    ])
  })

  it('gives the same events wherever the octets are cut', () => {
    const whole = shown(receive([conversation]))
    for (let at = 1; at < conversation.length; at++)
      expect(shown(receive([conversation.subarray(0, at), conversation.subarray(at)])), `cut at ${at}`).toEqual(whole)
    const single = [...conversation].map((octet) => Buffer.from([octet]))
    expect(shown(receive(single))).toEqual(whole)
  })

  it('gives the same events for any cut of any octets', () => {
    const token = fc.constantFrom(
      ...[
        'a ',
        'NOOP',
        'APPEND INBOX ',
        'UID ',
        '{3}',
        '{3+}',
        '{9999999+}',
        '~{1}',
        '\r\n',
        '\n',
        '\r',
        '"',
        'abc',
        '(',
      ],
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), fc.array(fc.nat(60), { maxLength: 5 }), (tokens, cuts) => {
        const input = octets(tokens.join(''))
        const edges = [0, ...cuts.filter((cut) => cut < input.length).sort((a, b) => a - b), input.length]
        const pieces = edges.slice(1).map((end, index) => input.subarray(edges[index]!, end))
        expect(kindsOf(pieces)).toEqual(kindsOf([input]))
      }),
    )
  })

  it('leaves what lies behind STARTTLS pending, however it is cut (H12)', () => {
    const input = octets('a STARTTLS\r\nb LOGIN x y\r\n')
    for (let at = 12; at <= input.length; at++) {
      const receiver = new CommandReceiver(preAuthLimits)
      receiver.push(input.subarray(0, at))
      expect(receiver.next()).toMatchObject({ type: 'command', command: { name: 'STARTTLS' } })
      expect(receiver.pending).toBe(at - 12)
    }
  })

  it('takes a raw line only when asked for one: IDLE (RFC 2177) and AUTHENTICATE', () => {
    const receiver = new CommandReceiver(preAuthLimits)
    receiver.push(octets('A002 IDLE\r\nDONE\r\nA003 NOOP\r\n'))
    expect(receiver.next()).toMatchObject({ type: 'command', command: { name: 'IDLE' } })
    receiver.expectLine()
    expect(receiver.next()).toEqual({ type: 'line', octets: octets('DONE') })
    expect(receiver.next()).toMatchObject({ type: 'command', command: { tag: 'A003' } })
  })
})

/** Type, tag and text of every event; nothing of the arguments, which need not follow the grammar. */
function kindsOf(pieces: readonly Buffer[]): unknown[] {
  const receiver = new CommandReceiver(authenticatedLimits(100))
  const kinds: unknown[] = []
  for (const piece of pieces) {
    receiver.push(piece)
    for (let event = receiver.next(); event !== undefined; event = receiver.next()) {
      if ('literal' in event && event.literal !== undefined) receiver.accept()
      if (event.type === 'fault') kinds.push([event.tag, event.text])
      else if (event.type === 'command') kinds.push([event.command.tag, event.command.name, event.command.uid])
      else if (event.type !== 'octets') kinds.push(event.type)
    }
  }
  return [...kinds, receiver.pending > 0]
}
