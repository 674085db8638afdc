import { describe, expect, it } from 'vitest'
import { canonicalUserId, defaultDomain } from '#src/auth/user-id.ts'
import { SyntaxFault } from '#src/base/errors.ts'
import { configOf } from '#src/config/config.ts'

const canonical = (given: string) => canonicalUserId(given, 'Example.COM')

describe('canonical user ids', () => {
  it('CAN-01 adds the default domain, and only where there is none', () => {
    expect(canonical('joe')).toBe('joe@example.com')
    expect(canonical('joe@other.example')).toBe('joe@other.example')
    expect(canonical('Joe')).toBe('Joe@example.com')
  })

  it('CAN-02 CAN-04 takes the domain of the interface, then the option, then the machine', () => {
    const maps = [
      { localAddr: '1.1.1.1', domain: 'ISP.NET' },
      { localAddr: '2001:DB8::1', domain: 'EXAMPLE.COM' },
    ]
    const config = configOf({ domain_map: maps, domain: 'other.example' })
    expect(defaultDomain(config, '1.1.1.1')).toBe('ISP.NET')
    expect(defaultDomain(config, '::ffff:1.1.1.1')).toBe('ISP.NET')
    expect(defaultDomain(config, '2001:db8::1')).toBe('EXAMPLE.COM')
    expect(defaultDomain(config, '3.3.3.3')).toBe('other.example')
    expect(defaultDomain(configOf(), '3.3.3.3')).not.toBe('')
    expect(canonicalUserId('test', defaultDomain(config, '1.1.1.1'))).toBe('test@isp.net')
    expect(canonicalUserId('test@example.net', defaultDomain(config, '1.1.1.1'))).toBe('test@example.net')
  })

  it('H14 has one canonical name for each user', () => {
    expect(canonical('joe@EXAMPLE.com')).toBe(canonical('joe@example.COM'))
    expect(canonical('zoe\u0308')).toBe(canonical('zo\u00eb'))
    expect(canonical('joe@BÜCHER.example')).toBe('joe@xn--bcher-kva.example')
    expect(canonical('joe@xn--bcher-kva.example')).toBe('joe@xn--bcher-kva.example')
  })

  it.each(['*()\\', '%{home}', '\x24{jndi:x}', '__proto__', "o'neil", 'a/b', '..', 'a+b'])(
    'H14 takes %j as a name like any other',
    (name) => {
      expect(canonical(name)).toBe(`${name}@example.com`)
    },
  )

  it.each([
    '',
    '@',
    '@example.com',
    'joe@',
    'joe@a..example',
    'joe@.example',
    'joe@-x y',
    'a@b@c.example',
    'jo e',
    'joe\r\nQUIT',
    'joe\0',
    'joe\u007f',
    'joe\u200b',
    'joe\u202e',
    'joe\u00a0x',
    '\uff4aoe',
    '\ufb01n',
    'joe\ud800',
    `${'x'.repeat(65)}@a.example`,
    `joe@${'x.'.repeat(200)}example`,
    'x'.repeat(65_536),
    'joe@a/b',
    'joe@a%2fb',
    'joe@[127.0.0.1]',
    'joe@xn--\u00fc',
  ])('H14 refuses %j', (given) => {
    expect(() => canonical(given)).toThrow(SyntaxFault)
  })
})
