import { describe, expect, it } from 'vitest'
import { mimeLimits } from '../../src/base/limits.ts'
import { parseAddresses } from '../../src/mime/address.ts'

/** "name|route|mailbox|host", '-' for undefined. */
const read = (value: string, atMost: number = mimeLimits.addresses) =>
  parseAddresses(value, atMost)?.map(({ name, route, mailbox, host }) =>
    [name, route, mailbox, host].map((text) => text ?? '-').join('|'),
  )

describe('addresses of the examples of RFC 5322, Appendix A', () => {
  it.each([
    ['Mary Smith <mary@example.net>', ['Mary Smith|-|mary|example.net']],
    ['"Joe Q. Public" <john.q.public@example.com>', ['Joe Q. Public|-|john.q.public|example.com']],
    [
      'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>',
      ['Mary Smith|-|mary|x.test', '-|-|jdoe|example.org', 'Who?|-|one|y.test'],
    ],
    [
      '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
      ['-|-|boss|nil.test', 'Giant; "Big" Box|-|sysservices|example.net'],
    ],
    [
      'A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;',
      ['-|-|A Group|-', 'Ed Jones|-|c|a.test', '-|-|joe|where.test', 'John|-|jdoe|one.test', '-|-|-|-'],
    ],
    ['Undisclosed recipients:;', ['-|-|Undisclosed recipients|-', '-|-|-|-']],
    ['Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', ['Pete|-|pete|silly.test']],
    ['(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;', ['-|-|Hidden recipients|-', '-|-|-|-']],
    // A.6.1: a dot in a phrase, a route, an empty element
    ['Joe Q. Public <john.q.public@example.com>', ['Joe Q. Public|-|john.q.public|example.com']],
    [
      'Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example',
      ['Mary Smith|@node.test|mary|example.net', '-|-|MISSING_MAILBOX|MISSING_DOMAIN', '-|-|jdoe|test.example'],
    ],
  ])('%s', (value, addresses) => {
    expect(read(value)).toEqual(addresses)
  })
})

describe('addresses', () => {
  it('has nothing of an empty field', () => {
    expect([read(''), read('  '), read('(only a comment)')]).toEqual([undefined, undefined, undefined])
  })

  it('keeps octets above 127 as they are', () => {
    expect(read('J\xf6rg <j\xf6@x\xe4>')).toEqual(['J\xf6rg|-|j\xf6|x\xe4'])
  })

  it('H21: survives a comment that ends in a backslash', () => {
    expect(read('a@x (oh\\')).toEqual(['-|-|a|x'])
  })

  it('closes the group that it cuts at the limit', () => {
    expect(read('g: a@x, b@x, c@x;', 2)).toEqual(['-|-|g|-', '-|-|a|x', '-|-|-|-'])
    expect(read('a@x, b@x, c@x', 2)).toEqual(['-|-|a|x', '-|-|b|x'])
  })
})
