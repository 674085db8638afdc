import { expect, it } from 'vitest'
import { backendUrl } from '#gateway/backend/backend-url.ts'

const url = (user: string, port = 110) =>
  backendUrl({ protocol: 'pop', host: 'Pop.Example.ORG', port, user }, 'anna@example.org')

it('names a maildrop: host without case, user with it, usual ports left out (RFC 2384)', () => {
  expect(url('anna')).toBe('pop://anna%40example.org@pop.example.org/')
  expect(url('anna', 995)).toBe(url('anna@example.org'))
  expect(url('anna', 1110)).toBe('pop://anna%40example.org@pop.example.org:1110/')
  expect(url('anna@EXAMPLE.org')).toBe(url('anna'))
  expect(url('Anna')).not.toBe(url('anna'))
})

it('keeps what has a meaning in a URL, or in an origin, from having it', () =>
  expect(url('a/u:b@c')).toBe('pop://a%2Fu%3Ab%40c@pop.example.org/'))
