/** Expected values are what the administration guide says (appendix D), for the suites that OpenSSL still has. */
import { describe, expect, it } from 'vitest'
import { readCipherList } from '#src/config/cipher-list.ts'
import { parseConfig } from '#src/config/ms-conf.ts'

const suites = (list: string) => readCipherList(list).ciphers.split(':')
const without = (list: readonly string[], test: RegExp) => list.filter((name) => !test.test(name))
const only = (list: readonly string[], test: RegExp) => list.filter((name) => test.test(name))
const oldOnly = (text: string) => suites(`TLSv1:${text}`)

describe('grammar (TLS-10)', () => {
  const two = ['AES128-SHA', 'AES256-SHA']
  it.each([
    ['blanks, colons and commas separate', 'AES128-SHA AES256-SHA', two],
    ['', 'AES128-SHA:AES256-SHA', two],
    ['', 'AES128-SHA,AES256-SHA', two],
    ['', ' AES128-SHA ,: AES256-SHA ', two],
    ['- removes, and what is removed may come again', 'AES128-SHA:AES256-SHA:-AES128-SHA:AES128-SHA', two.toReversed()],
    ['! removes for good', 'AES128-SHA:AES256-SHA:!AES128-SHA:AES128-SHA', ['AES256-SHA']],
    ['! also what has not come yet', '!AES128-SHA:AES128-SHA:AES256-SHA', ['AES256-SHA']],
    ['+ moves to the end', 'AES128-SHA:AES256-SHA:+AES128-SHA', two.toReversed()],
    ['+ adds nothing', 'AES128-SHA:+AES256-SHA', ['AES128-SHA']],
    ['a suite that is there is not moved', 'AES128-SHA:AES256-SHA:AES128-SHA', two],
    ['@STRENGTH sorts by the length of the key', 'AES128-SHA:AES256-SHA:@STRENGTH', two.toReversed()],
    [
      'and keeps the order of equal ones',
      'AES128-SHA:DHE-RSA-AES128-SHA:AES256-SHA:@STRENGTH',
      ['AES256-SHA', 'AES128-SHA', 'DHE-RSA-AES128-SHA'],
    ],
    ['+ between names means all of them', 'kRSA+SHA1+AES128', ['AES128-SHA']],
    ['a blank may follow an operator', 'AES128-SHA AES256-SHA: ! AES128', ['AES256-SHA']],
  ])('%s: %s', (_, list, expected) => {
    expect(suites(list)).toEqual(expected)
  })

  it.each([
    ['AES:!', 'has nothing behind !'],
    ['! - AES', 'has nothing behind !'],
    ['AES256-SHAH', 'has "AES256-SHAH", which is neither a suite nor a group of suites'],
    ['AES:!AES128-SHAH', 'has "AES128-SHAH", which is neither'],
    ['AES:DEFAULT', 'has DEFAULT behind something else; it has to come first, and alone'],
    ['!DEFAULT', 'has DEFAULT behind something else'],
    ['AES:!AES', 'leaves no suite that OpenSSL'],
    ['a'.repeat(9000), 'has more than 8192 characters'],
  ])('is refused: %s', (list, message) => {
    expect(() => readCipherList(list)).toThrow(message)
  })
})

describe('DEFAULT (TLS-11)', () => {
  it('stands for ALL:!ADH:RC4+RSA:+SSLv2:@STRENGTH', () => {
    expect(suites('DEFAULT')).toEqual(suites('ALL:!ADH:RC4+RSA:+SSLv2:@STRENGTH'))
    expect(suites('')).toEqual(suites('DEFAULT'))
  })

  it('comes first, and others may follow', () => {
    expect(suites('DEFAULT:!AES256')).toEqual(without(suites('DEFAULT'), /AES_?256/))
  })

  it('prefers long keys, then those of elliptic curves', () => {
    const list = suites('DEFAULT')
    const [last256, first128] = [
      list.findLastIndex((name) => /256/.test(name) && !/128/.test(name)),
      list.findIndex((name) => /128/.test(name)),
    ]
    expect(last256).toBeLessThan(first128)
    expect(list.indexOf('ECDHE-ECDSA-AES256-GCM-SHA384')).toBeLessThan(list.indexOf('ECDHE-RSA-AES256-GCM-SHA384'))
  })
})

describe('names (TLS-12, TLS-13, TLS-16)', () => {
  const all = suites('ALL')

  it.each<[string, RegExp]>([
    ['HIGH', /256|CHACHA20/],
    ['AES', /AES/],
    ['RSA', /^(AES|CAMELLIA|ARIA)\d/],
    ['kRSA', /^(AES|CAMELLIA|ARIA)\d/],
    ['kEDH', /^DHE-/],
    ['aDSS', /DSS/],
    ['DSS', /DSS/],
    ['aRSA', /RSA|^(AES|CAMELLIA|ARIA|ECDHE-ARIA)\d/],
    ['SHA1', /-SHA$/],
    ['SHA', /-SHA$/],
    ['DH', /^DHE-/],
    ['TLSv1', /-SHA$/],
  ])('%s', (name, expected) => {
    const wanted = all.filter((suite) => expected.test(suite) && !(name === 'HIGH' && /128/.test(suite)))
    expect(suites(name)).toEqual(wanted)
  })

  it('MEDIUM has keys of 128 bits, HIGH longer ones', () => {
    expect(suites('MEDIUM').toSorted()).toEqual(
      without(all, /256(?!$)|CHACHA20/)
        .filter((name) => /128/.test(name))
        .toSorted(),
    )
  })

  it.each([
    'LOW',
    'EXP',
    'EXPORT',
    'EXPORT40',
    'EXPORT56',
    'kDHr',
    'kDHd',
    'aDH',
    'SSLv2',
    'SSLv3',
    '3DES',
    'DES',
    'RC4',
    'RC2',
    'MD5',
  ])('%s is known, OpenSSL has none of them any more, and a remark says so', (name) => {
    expect(() => readCipherList(name)).toThrow('leaves no suite that OpenSSL')
    const { ciphers, warnings } = readCipherList(`AES:${name}:!${name}`)
    expect(ciphers).toBe(suites('AES').join(':'))
    expect(warnings).toEqual([
      expect.stringMatching(new RegExp(`^${name} names no suite that OpenSSL [\\d.]+ has, and changes nothing`)),
    ])
  })

  it.each([
    'DES-CBC3-SHA',
    'EXP1024-DHE-DSS-RC4-SHA',
    'EDH-DSS-CBC-SHA',
    'DES-CBC-MD5',
    'DH-RSA-AES256-SHA',
    'EXP-ADH-RC4-MD5',
  ])('%s of the annex too', (name) => {
    expect(readCipherList(`AES128-SHA:TLSv1.3:${name}`).warnings).toEqual([
      expect.stringContaining(`${name} names no suite`),
    ])
  })

  it('excluding what is not there is no news', () => {
    expect(readCipherList('HIGH:!RC4:!EXP:!MD5:!PSK:!SRP:-3DES').warnings).toEqual([])
  })

  it('ALL has what encrypts; COMPLEMENTOFALL is the rest, COMPLEMENTOFDEFAULT what has no certificate', () => {
    expect(only(all, /NULL/)).toEqual([])
    expect(only(suites('COMPLEMENTOFALL'), /./).every((name) => /NULL|SECLEVEL/.test(name))).toBe(true)
    expect(suites('COMPLEMENTOFALL')).toEqual(suites('eNULL'))
    expect(without(suites('COMPLEMENTOFDEFAULT'), /SECLEVEL/).every((name) => /^AE?C?DH-/.test(name))).toBe(true)
    expect(suites('COMPLEMENTOFDEFAULT')).toContain('ADH-AES256-SHA')
  })

  it('without authentication or encryption only by a name for it', () => {
    for (const name of ['ALL', 'DEFAULT', 'HIGH', 'AES', 'DH', 'TLSv1', 'SHA1', 'aRSA']) {
      expect(readCipherList(name).anonymous, name).toBe(false)
      expect(only(suites(name), /ADH|AECDH|NULL/), name).toEqual([])
    }
    for (const name of ['ADH', 'aNULL', 'ADH-AES256-SHA', 'ADH+AES', 'ALL:ADH']) {
      const { anonymous, warnings } = readCipherList(name)
      expect(anonymous, name).toBe(true)
      expect(warnings[0], name).toMatch(/lets anybody in between read and change everything/)
    }
    expect(readCipherList('ALL:eNULL').warnings).toEqual([expect.stringMatching(/lets everybody read along/)])
  })

  it('a list without TLS 1.3 says that it is off', () => {
    expect(readCipherList('DHE-RSA-AES256-SHA DHE-DSS-AES256-SHA AES256-SHA').warnings).toEqual([
      expect.stringContaining('has no suite of TLS 1.3, which is off therefore'),
    ])
    expect(readCipherList('AES256-SHA TLSv1.3').warnings).toEqual([])
  })
})

describe('the examples of the guide (TLS-15)', () => {
  it('ALL: eNULL has everything that has a certificate', () => {
    expect(suites('ALL: eNULL')).toEqual([...suites('ALL'), ...suites('eNULL')])
  })
  it('ALL: ! ADH: @STRENGTH', () => {
    expect(suites('ALL: ! ADH: @STRENGTH')).toEqual(suites('DEFAULT'))
  })
  it('RSA: ! COMPLEMENTOFALL', () => {
    expect(suites('RSA: ! COMPLEMENTOFALL')).toEqual(suites('RSA'))
  })
  it.each(['3DES:+RSA', 'RC4: ! COMPLEMENTOFDEFAULT'])('%s leaves nothing today', (list) => {
    expect(() => readCipherList(list)).toThrow(/leaves no suite that OpenSSL [\d.]+ has; DEFAULT is a good value/)
  })
  it('3DES:+RSA as a part: RSA last', () => {
    expect(suites('AES+SHA1:+RSA').slice(-2)).toEqual(['AES256-SHA', 'AES128-SHA'])
    expect(oldOnly('+RSA').at(-1)).toBe('CAMELLIA128-SHA')
  })
})

describe('in ms.conf', () => {
  const findings = (list: string) =>
    parseConfig(Buffer.from(`<ms_options>\n<tls_cipher_list>${list}</tls_cipher_list>\n</ms_options>`), '/etc/ms.conf')

  it('what leaves nothing is an error with the line', () => {
    const { config, findings: found } = findings('RC4')
    expect(config).toBeUndefined()
    expect(found).toMatchObject([{ severity: 'error', line: 2, option: 'tls_cipher_list' }])
  })

  it('what OpenSSL has no more is a warning', () => {
    const { config, findings: found } = findings('DEFAULT RC4-SHA')
    expect(config).toBeDefined()
    expect(found).toMatchObject([{ severity: 'warning', line: 2, option: 'tls_cipher_list' }])
  })
})
