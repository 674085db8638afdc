import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ListPattern } from '#src/proto/imap/list-pattern.ts'
import { costRatio } from '#test/support/cpu.ts'

const matches = (pattern: string, names: readonly string[]) =>
  names.filter((name) => new ListPattern(pattern).matches(name))

describe('LIST patterns (RFC 9051 §6.3.9)', () => {
  const names = ['INBOX', 'INBOX/a', 'foo', 'foo/bar', 'foo/bar/baz', 'Foo', 'fo%']
  it.each([
    ['*', names],
    ['%', ['INBOX', 'foo', 'Foo', 'fo%']],
    ['foo*', ['foo', 'foo/bar', 'foo/bar/baz']],
    ['foo/%', ['foo/bar']],
    ['%/%', ['INBOX/a', 'foo/bar']],
    ['%/%/%', ['foo/bar/baz']],
    ['*z', ['foo/bar/baz']],
    ['*%', names],
    ['f%r*', []],
    ['f*r*', ['foo/bar', 'foo/bar/baz']],
    ['inbox', ['INBOX']],
    ['iNb%', ['INBOX']],
    ['inbox/%', ['INBOX/a']],
    ['inbox/A', []],
    ['', []],
    ['foo', ['foo']],
  ])('%s', (pattern, expected) => expect(matches(pattern, names)).toEqual(expected))

  it('match as a regular expression would', () => {
    const text = (chars: string) => fc.array(fc.constantFrom(...chars), { maxLength: 8 }).map((list) => list.join(''))
    fc.assert(
      fc.property(text('ab/*%'), text('ab/'), (pattern, name) => {
        const source = pattern.replaceAll('*', '.*').replaceAll('%', '[^/]*')
        expect(new ListPattern(pattern).matches(name)).toBe(new RegExp(`^${source}$`).test(name))
      }),
      { numRuns: 3000 },
    )
  })

  it('H9: 2,000 wildcards and 10,000 mailboxes', async () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `level/${'a'.repeat(60)}${index}`)
    expect(matches('*%'.repeat(1000), names)).toHaveLength(10_000)
    expect(matches('*a'.repeat(1000), names)).toEqual([])
    expect(matches(`${'*a%'.repeat(40)}b`, names.slice(0, 1000))).toEqual([])
    // Each wildcard that may stand for more or less would double the cost.
    const match = (count: number) => () => matches(`${'*a%'.repeat(count)}b`, names.slice(0, 1000))
    expect(await costRatio(match(10), match(40))).toBeLessThan(16)
  })
})
