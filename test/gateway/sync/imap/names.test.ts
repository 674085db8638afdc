import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalName } from '#src/store/names.ts'
import { nameHere, pairNames, pathThere } from '../../../../gateway/sync/imap/names.ts'

const isOurs = () => true
const plain = { prefix: '', namespace: '', isOurs }
const dotted = { prefix: '', namespace: 'INBOX.', isOurs }

describe('the name here of a mailbox there', () => {
  it.each([
    ['INBOX', '/', plain, 'INBOX'],
    ['Inbox', '/', plain, 'INBOX'],
    ['Sent/2026', '/', plain, 'Sent/2026'],
    ['INBOX.Sent.2026', '.', dotted, 'Sent/2026'],
    ['INBOX', '.', dotted, 'INBOX'],
    ['Public\\Notes', '\\', plain, 'Public/Notes'],
    ['a/b', '.', plain, 'a_b'],
    ['..', '/', plain, '_..'],
    ['a//b', '/', plain, 'a/_/b'],
    ['x\r\ny', '/', plain, 'x__y'],
    ['Entw\u00fcrfe', '/', plain, 'Entw\u00fcrfe'],
    ['Sent', '/', { prefix: 'old/', namespace: '', isOurs }, 'old/Sent'],
    ['INBOX', '/', { prefix: 'old/', namespace: '', isOurs }, 'old/INBOX'],
    ['flat.name', undefined, plain, 'flat.name'],
  ])('%j', (path, delimiter, policy, name) => expect(nameHere({ path, delimiter }, policy)).toBe(name))
})

describe('pairs of names', () => {
  it('never share a name, and are names that the store takes (B8)', () => {
    const level = fc.oneof(
      fc.string({ maxLength: 300, unit: 'binary' }),
      fc.constantFrom('..', '.', '', 'INBOX', 'inbox', 'a/b', 'a_b', 'log', 'x\0', '\ud800'),
    )
    const path = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('.'))
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 30 }), fc.constantFrom(plain, dotted), (paths, policy) => {
        const pairs = pairNames(
          paths.map((one) => ({ path: one, delimiter: '.' })),
          new Map(),
          policy,
        )
        expect(pairs.size).toBe(paths.length)
        expect(new Set(pairs.values()).size).toBe(paths.length)
        for (const name of pairs.values()) expect(canonicalName(name)).toBe(name)
      }),
      { numRuns: 500 },
    )
  })

  it('stay what they were, whatever comes beside them', () => {
    const remote = ['a/b', 'a_b'].map((path) => ({ path, delimiter: '.' }))
    const first = pairNames([remote[1]!], new Map(), plain)
    expect([...first]).toEqual([['a_b', 'a_b']])
    const second = pairNames(remote, first, plain)
    expect(second.get('a_b')).toBe('a_b')
    expect(second.get('a/b')).toMatch(/^a_b \([0-9a-f]{8}\)$/)
    expect(pairNames(remote.toReversed(), second, plain)).toEqual(second)
  })
})

describe('a name that can be kept', () => {
  it.each([
    ['Cafe\u0301', 'Caf\u00e9'],
    ['a/b', 'a_b'],
  ])('is not lost to %j, which becomes like it', (changed, kept) => {
    const remote = [changed, kept].map((path) => ({ path, delimiter: '.' }))
    const pairs = pairNames(remote, new Map(), plain)
    expect(pairs.get(kept)).toBe(kept)
    expect(pairs.get(changed)).toMatch(/ \([0-9a-f]{8}\)$/)
  })
})

describe('the path there of a mailbox made here', () => {
  it.each([
    ['Work/2026', '.', dotted, 'INBOX.Work.2026'],
    ['Work/2026', '/', plain, 'Work/2026'],
    ['INBOX', '.', dotted, 'INBOX'],
    ['v1.2', '.', dotted, undefined],
    ['Work/2026', undefined, plain, undefined],
    ['Other', '/', { prefix: 'old/', namespace: '', isOurs }, undefined],
    ['old/Sent', '/', { prefix: 'old/', namespace: '', isOurs }, 'Sent'],
  ])('%s', (name, delimiter, policy, path) => expect(pathThere(name, delimiter, policy)).toBe(path))
})
