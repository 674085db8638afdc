import { describe, expect, it } from 'vitest'
import { parseChunk, parseCommand, parseEnvelope } from '#src/proto/lmtp/command.ts'
import { checkMailParameters, checkRecipientParameters } from '#src/proto/lmtp/parameters.ts'
import { readPath } from '#src/proto/lmtp/path.ts'
import { formatReply } from '#src/proto/lmtp/reply.ts'
import { decodeXtext } from '#src/proto/lmtp/xtext.ts'

const fault = (rule: string) => expect.objectContaining({ name: 'SyntaxFault', rule })

describe('paths (RFC 5321 §4.1.2, RFC 6531 §3.3)', () => {
  const good: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['<>', undefined, undefined],
    ['<joe@example.org>', 'joe', 'example.org'],
    ['<joe>', 'joe', undefined],
    ['<Postmaster>', 'Postmaster', undefined],
    ['<"joe blow"@example.org>', 'joe blow', 'example.org'],
    ['<"a>b\\"c\\\\@"@example.org>', 'a>b"c\\@', 'example.org'],
    ['<""@example.org>', '', 'example.org'],
    ['<@a.example,@b.example:joe@example.org>', 'joe', 'example.org'],
    ['<joe+a/b@example.org>', 'joe+a/b', 'example.org'],
    ['<.joe..x.@example.org>', '.joe..x.', 'example.org'],
    ['<joe@[192.0.2.1]>', 'joe', '[192.0.2.1]'],
    ['<joe@[IPv6:2001:db8::1]>', 'joe', '[IPv6:2001:db8::1]'],
    ['<jöe@exämple.org>', 'jöe', 'exämple.org'],
    ["<!#$%&'*+-/=?^_`{|}~@a_b.example>", "!#$%&'*+-/=?^_`{|}~", 'a_b.example'],
  ]
  for (const [text, local, domain] of good)
    it(`takes ${text}`, () => {
      const { address, rest } = readPath(`${text} REST`)
      expect([address?.local, address?.domain, rest]).toEqual([local, domain, ' REST'])
    })

  for (const text of [
    'joe@example.org',
    '<joe@example.org',
    '<joe@@example.org>',
    '<joe@example..org>',
    '<joe@-@x>',
    '<@example.org>',
    '<joe blow@example.org>',
    '<"joe@example.org>',
    '<"joe"x@example.org>',
    '<joe@[300.0.2.1]>',
    '<joe@[IPv6:192.0.2.1]>',
    '<joe@[foo:bar]>',
    '<joe@exa mple.org>',
    '<@a,b:joe@example.org>',
    '<@a joe@example.org>',
    `<${'x'.repeat(600)}@example.org>`,
    '<joe@>',
    '<,@example.org>',
  ])
    it(`refuses ${text.slice(0, 40)}`, () => {
      expect(() => readPath(text)).toThrow(fault('path'))
    })
})

describe('commands', () => {
  it('are a keyword in any case and an argument', () => {
    expect(parseCommand(Buffer.from('mAiL FROM:<a@b>'))).toEqual({ keyword: 'MAIL', argument: 'FROM:<a@b>' })
    expect(parseCommand(Buffer.from('QUIT '))).toEqual({ keyword: 'QUIT', argument: '' })
  })

  for (const line of ['', ' NOOP', 'NOOP\t', 'NO\0OP', 'X', 'NOOP a\rb', 'NOOP \xff', '.'])
    it(`refuse ${JSON.stringify(line)}`, () => {
      expect(() => parseCommand(Buffer.from(line, 'latin1'))).toThrow(fault('command'))
    })

  it('MAIL and RCPT have a path and parameters', () => {
    const { address, parameters } = parseEnvelope('FROM', 'from: <a@b.example>  SIZE=10 body=8BITMIME SMTPUTF8')
    expect(address?.text).toBe('a@b.example')
    expect([...parameters]).toEqual([
      ['SIZE', '10'],
      ['BODY', '8BITMIME'],
      ['SMTPUTF8', ''],
    ])
    expect(() => parseEnvelope('TO', '<a@b>')).toThrow(fault('argument'))
    expect(() => parseEnvelope('TO', 'TO:<a@b>X=1')).toThrow(fault('argument'))
    for (const wrong of ['X=', '=1', 'A=1=2', 'SIZE=1 size=2', '-X'])
      expect(() => parseEnvelope('FROM', `FROM:<> ${wrong}`), wrong).toThrow(fault('parameter'))
    expect(() => parseEnvelope('FROM', 'FROM:<a b>')).toThrow(fault('FROM path'))
  })

  it('BDAT has a size and LAST (RFC 3030 §2)', () => {
    expect(parseChunk('0')).toEqual({ octets: 0, isLast: false })
    expect(parseChunk('12 last')).toEqual({ octets: 12, isLast: true })
    for (const wrong of ['', '-1', '1x', '1 FIRST', 'LAST', '1 2', `${'9'.repeat(21)}`])
      expect(() => parseChunk(wrong), wrong).toThrow(fault('argument'))
  })
})

describe('parameters', () => {
  const check = (of: typeof checkMailParameters, text: string) => () =>
    of(parseEnvelope('TO', `TO:<a@b> ${text}`).parameters)

  it('are those of the extensions that are offered', () => {
    for (const good of [
      'SIZE=0',
      'BODY=7BIT',
      'BODY=8bitmime',
      'BODY=BINARYMIME',
      'SMTPUTF8',
      'RET=FULL',
      'RET=HDRS',
      'ENVID=QQ314159',
      'AUTH=<>',
      'AUTH=e+3Dmc2@example.com',
    ])
      expect(check(checkMailParameters, good), good).not.toThrow()
    for (const good of [
      'NOTIFY=NEVER',
      'NOTIFY=SUCCESS,DELAY,FAILURE',
      'ORCPT=rfc822;Bob+2B1@example.com',
      'ORCPT=utf-8;jö@example.org',
    ])
      expect(check(checkRecipientParameters, good), good).not.toThrow()
  })

  it('have values of their grammar', () => {
    for (const wrong of [
      'SIZE',
      'SIZE=1x',
      'SIZE=999999999999999999999',
      'BODY=9BIT',
      'SMTPUTF8=1',
      'RET=ALL',
      `ENVID=${'x'.repeat(101)}`,
      'ENVID=a+zz',
    ])
      expect(check(checkMailParameters, wrong), wrong).toThrow(fault('parameter'))
    for (const wrong of [
      'NOTIFY=NEVER,DELAY',
      'NOTIFY=,',
      'NOTIFY',
      'ORCPT=bob@example.com',
      'ORCPT=rfc822;',
      `ORCPT=rfc822;${'x'.repeat(500)}`,
    ])
      expect(check(checkRecipientParameters, wrong), wrong).toThrow(fault('parameter'))
  })

  it('are refused when nobody offered them', () => {
    for (const wrong of ['BY=120;R', 'HOLDFOR=9', 'REQUIRETLS', 'NOTIFY=NEVER'])
      expect(check(checkMailParameters, wrong)).toThrow(fault('unknown parameter'))
    expect(check(checkRecipientParameters, 'SIZE=1')).toThrow(fault('unknown parameter'))
  })

  it('xtext is decoded where it is one (RFC 3461 §4)', () => {
    expect(decodeXtext('a+2Bb+3D')).toBe('a+b=')
    for (const wrong of ['a b', 'a=b', '+2b', '+', 'ö']) expect(decodeXtext(wrong)).toBeUndefined()
  })
})

describe('replies', () => {
  it('are lines with code and status', () => {
    expect(formatReply({ code: 250, text: 'a\nb' })).toBe('250-a\r\n250 b\r\n')
    expect(formatReply({ code: 550, status: '5.7.1', text: 'a\r\nb' })).toBe('550-5.7.1 a\r\n550 5.7.1 b\r\n')
  })

  it('are nothing but lines, whatever is in the text, and have at most 512 octets (RFC 5321 §4.5.3.1.5)', () => {
    expect(formatReply({ code: 550, status: '5.7.1', text: 'a\rb\0cö' })).toBe('550 5.7.1 a?b?c?\r\n')
    expect(formatReply({ code: 550, status: '5.7.1', text: 'x'.repeat(900) })).toHaveLength(512)
    const utf8 = formatReply({ code: 550, status: '5.7.1', text: 'ö'.repeat(900) }, true)
    expect(utf8.length).toBeLessThanOrEqual(512)
    expect(Buffer.from(utf8, 'latin1').toString()).toMatch(/^550 5\.7\.1 ö+\r\n$/)
  })
})
