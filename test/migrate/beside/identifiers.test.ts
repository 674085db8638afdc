import { expect, it } from 'vitest'
import { isModern, meaningOf, rightsHere } from '#migrate/beside/identifiers.ts'
import type { UserId } from '#src/base/ids.ts'
import { formatRights } from '#src/sharing/rights.ts'

const joe = 'joe@a.example' as UserId
const meaning = (identifier: string, called = 'joe') => meaningOf(identifier, joe, called)

it('takes names as Cyrus, Courier and Dovecot write them, completed with the domain of the owner', () => {
  const user = { kind: 'user', called: 'ann', userId: 'ann@a.example', isNegative: false }
  expect(meaning('ann')).toEqual(user)
  expect(meaning('user=ann')).toEqual(user)
  expect(meaning('-user=ann')).toEqual({ ...user, isNegative: true })
  expect(meaning('-ann')).toEqual({ ...user, isNegative: true })
  expect(meaning('ann@B.example')).toMatchObject({ userId: 'ann@b.example' })
  for (const own of ['joe', '-joe', 'joe@a.example', 'owner', 'administrators']) expect(meaning(own).kind).toBe('own')
  expect(meaning('jsmith', 'jsmith').kind).toBe('own')
})

it('gives nothing to everybody, groups, and names that nobody can have here', () => {
  for (const identifier of [
    'anyone',
    'Anonymous',
    'group:staff',
    'group=staff',
    '$staff',
    '!staff',
    '#owner',
    'a b',
    '',
  ])
    expect(meaning(identifier).kind).toBe('unknown')
})

it('RFC 4314 2.1.1: c and d are rights only where a server has no others', () => {
  const here = (letters: string, modern: boolean) => {
    const { rights, left } = rightsHere(letters, modern)
    return [formatRights(rights), left]
  }
  expect(here('lrswipkxtecda', true)).toEqual(['lrswipkxte', 'a'])
  expect(here('lrkc', true)).toEqual(['lrk', ''])
  expect(here('lrcd', false)).toEqual(['lrkxte', ''])
  // Cyrus: annotations (RFC 5257), and a letter of the site.
  expect(here('lrn9', true)).toEqual(['lr', 'n9'])
  expect(isModern(new Set(['IMAP4REV1', 'ACL', 'RIGHTS=TEXK']))).toBe(true)
  expect(isModern(new Set(['ACL']))).toBe(false)
})
