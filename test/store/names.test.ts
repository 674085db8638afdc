import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { UserId } from '#src/base/ids.ts'
import { messageFileName, originHash, parseMessageFileName } from '#src/store/message-file.ts'
import {
  accountDirectory,
  accountOf,
  canonicalName,
  childName,
  escapeLevel,
  mailboxPath,
  unescapeLevel,
} from '#src/store/names.ts'

const levels = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed())

describe('mailbox names', () => {
  it('become directories that meet nothing else', () => {
    const directories = {
      inbox: 'inbox',
      Sent: '^sent',
      'Sent Items': '^sent ^items',
      msg: '%6dsg',
      log: '%6cog',
      tmp: '%74mp',
      cache: '%63ache',
      '...': '%2e.%2e',
      '.hidden': '%2ehidden',
      'a*b?c:d|e\\f"g<h>i': 'a%2ab%3fc%3ad%7ce%5cf%22g%3ch%3ei',
      '100%': '100%25',
      Entwürfe: '^entw%c3%bcrfe',
      日本語: '日本語',
      한: '%ed%95%9c',
    }
    for (const [name, directory] of Object.entries(directories)) expect(escapeLevel(name)).toBe(directory)
    expect(mailboxPath('INBOX/log')).toBe('INBOX/%6cog')
  })

  it('read back from their directories, also on a file system that folds case or normalises', () => {
    const seen = new Map<string, string>()
    fc.assert(
      fc.property(levels, (text) => {
        const level = text.normalize('NFC')
        const directory = escapeLevel(level)
        expect(unescapeLevel(directory)).toBe(level)
        expect(directory).not.toMatch(/[/\0]|^\.|^(msg|log|tmp|cache)$/)
        const folded = directory.normalize('NFD').toLowerCase()
        expect(seen.get(folded) ?? level).toBe(level)
        seen.set(folded, level)
      }),
      { numRuns: 2000 },
    )
    expect(escapeLevel('foo')).not.toBe(escapeLevel('Foo').toLowerCase())
  })

  it('are canonical: NFC, INBOX in any case', () => {
    expect(canonicalName('iNbOx')).toBe('INBOX')
    expect(canonicalName('inbox/Sub')).toBe('INBOX/Sub')
    expect(canonicalName('a/inbox')).toBe('a/inbox')
    expect(canonicalName('u\u0308')).toBe('\u00fc')
  })

  it('are refused with the reason', () => {
    for (const name of ['', '/a', 'a/', 'a//b', '..', 'a/../b', '.', 'a\0b', 'a\r\nb', '\x7f', '\u0085', '\ud800'])
      expect(() => canonicalName(name), JSON.stringify(name)).toThrow(expect.objectContaining({ kind: 'invalid' }))
    for (const name of [
      'x'.repeat(256),
      'Ü'.repeat(50),
      `${'a/'.repeat(40)}a`,
      Array(6).fill('x'.repeat(200)).join('/'),
    ])
      expect(() => canonicalName(name)).toThrow(expect.objectContaining({ kind: 'limit' }))
  })

  it('are not found in what somebody else put there', () => {
    for (const directory of ['Sent', '%41', '%zz', '^', '^1', 'lost+found/..', '.snapshot', 'inbox ', 'msg', '%2e%2e'])
      expect(childName('', directory), directory).toBe(undefined)
    expect(childName('', 'INBOX')).toBe('INBOX')
    // Top-level "inbox" is INBOX, whose directory is upper case.
    expect(childName('', 'inbox')).toBe(undefined)
    expect(childName('a', 'inbox')).toBe('a/inbox')
  })
})

describe('accounts', () => {
  it('have one directory each', () => {
    expect(accountDirectory('lena@example.com' as UserId)).toBe('lena@example%2ecom'.replace('%2e', '.'))
    expect(accountOf(accountDirectory('Lena/../x@y' as UserId))).toBe('Lena/../x@y')
    expect(accountDirectory('../../etc' as UserId)).not.toContain('/')
    expect(accountOf('.gone-1')).toBe(undefined)
    for (const bad of ['', 'a\0b', 'x'.repeat(300)]) expect(() => accountDirectory(bad as UserId)).toThrow()
  })
})

describe('message files', () => {
  const digest = 'A'.repeat(43)
  it('carry date, size, origin and digest', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }),
        fc.nat(),
        fc.integer(),
        (text, size, date) => {
          const origin = text.toWellFormed().replaceAll('\0', '')
          if (origin === '') return
          const file = messageFileName({ internalDate: date, sizeOctets: size, origin, unique: 'abc123', digest })
          expect(Buffer.byteLength(file)).toBeLessThanOrEqual(255)
          expect(file).not.toMatch(/[/\0]/)
          const named = parseMessageFileName(file)!
          expect(named).toMatchObject({ internalDate: date, sizeOctets: size, digest })
          if (named.originHash === undefined) expect(named.origin).toBe(origin)
          else expect(named.originHash).toBe(originHash(origin))
        },
      ),
    )
  })
  it('are told from everything else', () => {
    for (const name of [
      '',
      'README',
      '1,S=1,O=,a,b',
      `1,S=1,O=%zz,a,${digest}`,
      `1,S=1,O=/,a,${digest}`,
      `1,S=-1,O=,a,${digest}`,
    ])
      expect(parseMessageFileName(name)).toBe(undefined)
  })
})
