import { describe, expect, it } from 'vitest'
import { Draft } from '#src/config/draft.ts'
import { formatFinding } from '#src/config/finding.ts'
import { settingsOf } from '#src/config/ldap/settings.ts'
import { type ListenerService, listenersOf } from '#src/config/listeners.ts'
import { type OptionName, optionNames, optionOf } from '#src/config/options.ts'

const dn = 'cn=server'
const read = (
  attributes: Readonly<Record<string, readonly string[]>>,
  dsa?: Readonly<Record<string, readonly string[]>>,
) => {
  const lower = (entry: Readonly<Record<string, readonly string[]>>) =>
    Object.fromEntries(Object.entries(entry).map(([name, values]) => [name.toLowerCase(), values]))
  const draft = new Draft('/etc/isode/ms.conf')
  const { settings, findings } = settingsOf({
    server: { dn, attributes: lower(attributes) },
    dsa: dsa && { dn: 'cn=dsa', attributes: lower(dsa) },
    sharedRoots: [],
    groups: [],
  })
  draft.note(...findings)
  draft.take(settings)
  return { config: draft.config, findings: draft.findings.map(formatFinding) }
}

describe('listeners (LDAP-05, CAN-06, CAN-07)', () => {
  it.each([
    ['imap://mail.example.net', 'imap', { host: 'mail.example.net', port: 143 }],
    ['imaps://mail.example.net:9930', 'imaps', { host: 'mail.example.net', port: 9930 }],
    ['pop://192.0.2.1', 'pop3', { host: '192.0.2.1', port: 110 }],
    ['pop3s://[2001:db8::1]', 'pop3s', { host: '2001:db8::1', port: 995 }],
    ['lmtp://mail.example.net', 'lmtp', { host: 'mail.example.net', port: 2003 }],
    ['sieve://mail.example.net', 'sieve', { host: 'mail.example.net', port: 4190 }],
    ['isode.event://127.0.0.1:2004/', 'msevent', { host: '127.0.0.1', port: 2004 }],
    ['isode.log://127.0.0.1', 'mlogd', { host: '127.0.0.1', port: 2007 }],
    // Every interface.
    ['imap://', 'imap', { host: '', port: 143 }],
    ['imap://:1143/', 'imap', { host: '', port: 1143 }],
    ['lmtp:///var/run/lmtp', 'lmtp', { path: '/var/run/lmtp' }],
    ['lmtp://%2Fvar%2Frun%2Flmtp/', 'lmtp', { path: '/var/run/lmtp' }],
    ['isode.event:///var/run/mseventd', 'msevent', { path: '/var/run/mseventd' }],
    // The rest is not looked at.
    ['IMAP://mail.example.net:143/INBOX?x#y', 'imap', { host: 'mail.example.net', port: 143 }],
  ] as const)('%s', (url, service, listener) => {
    const { config, findings } = read({ mboxListeners: [url] })
    expect(findings.filter((text) => !text.includes('no effect yet'))).toEqual([])
    expect(listenersOf(config, service as ListenerService)).toEqual([listener])
  })

  it('several of one type, and none of another', () => {
    const { config } = read({ mboxListeners: ['imap://a:1', 'pop://b', 'imap://c'] })
    expect(listenersOf(config, 'imap')).toEqual([
      { host: 'a', port: 1 },
      { host: 'c', port: 143 },
    ])
    expect(listenersOf(config, 'pop3')).toEqual([{ host: 'b', port: 110 }])
    expect(listenersOf(config, 'imaps')).toEqual([{ host: '', port: 993 }])
  })

  it.each(['smtp://a', 'a:143', 'imap:/a', 'imap://a:b', 'imap://a b', 'imap://u@a', 'imap://%zz', ''])(
    '%j is none',
    (url) => {
      expect(read({ mboxListeners: [url] }).findings.join()).toContain(`${dn}: mboxListeners: `)
    },
  )
})

describe('other URLs and lists (LDAP-05)', () => {
  it('mboxBackends: protocol, host and port of one backend', () => {
    const backend = (...urls: readonly string[]) => {
      const { config, findings } = read({ mboxBackends: urls })
      return findings.length > 0
        ? findings.join()
        : [config.get('ms_syncd_protocol'), config.get('ms_syncd_host'), config.get('ms_syncd_port')]
    }
    expect(backend('pop://pop.example.net:3110/')).toEqual(['pop', 'pop.example.net', 3110])
    expect(backend('pop3s://pop.example.net')).toEqual(['pops', 'pop.example.net', 995])
    expect(backend('imap4://a')).toEqual(['imap', 'a', 143])
    expect(backend('imaps://a')).toEqual(['imaps', 'a', 993])
    expect(backend('smtp://a')).toContain('is not a backend')
    // C-03
    expect(backend('pop://a', 'pop://b')).toContain('has several values; leave one')
  })

  it('mboxConnectors: host and port of the submission server', () => {
    const connector = (url: string) => {
      const { config } = read({ mboxConnectors: [url] })
      return [config.get('submit_host'), config.get('submit_port')]
    }
    expect(connector('smtp://out-smtp.example.net:25/')).toEqual(['out-smtp.example.net', 25])
    expect(connector('smtp://out-smtp.example.net')).toEqual(['out-smtp.example.net', 587])
    expect(read({ mboxConnectors: ['http://a'] }).findings.join()).toContain('is not a submission server')
  })

  it('CAN-05: domains of interfaces', () => {
    const { config } = read({
      mboxListenDomainMappings: ['1.1.1.1 ISP.NET'],
      mboxRemoteDomainMappings: ['2.2.2.2 EXAMPLE.COM'],
    })
    expect(config.all('domain_map')).toEqual([
      { localAddr: '1.1.1.1', domain: 'ISP.NET' },
      { localAddr: '2.2.2.2', domain: 'EXAMPLE.COM' },
    ])
    expect(read({ mboxListenDomainMappings: ['1.1.1.1'] }).findings.join()).toContain(
      'is not an address, a blank and a domain',
    )
    expect(read({ mboxListenDomainMappings: ['x y'] }).findings.join()).toContain(
      'mboxListenDomainMappings (domain_map): "x" is not an address',
    )
  })

  it("the directory server's own entry counts more (LDAP-03)", () => {
    const { config } = read(
      { saslUserEntryFilter: ['(a=b)'], saslDomainObjectClasses: ['top'] },
      { saslUserEntryFilter: ['(c=d)'] },
    )
    expect([config.get('ldapdb_user_filter'), config.get('ldapdb_domain_ocs')]).toEqual(['(c=d)', ['top']])
  })

  it('of options with one value, several are an error', () => {
    expect(read({ mboxImapTimeout: ['30', '31'] }).findings).toEqual([
      `${dn}: mboxImapTimeout (imap_timeout): has several values; leave one`,
    ])
  })
})

describe('every option that has an attribute', () => {
  const carried: readonly string[] = [
    'mboxListeners',
    'mboxBackends',
    'mboxConnectors',
    'mboxGroup',
    'mboxListenDomainMappings, mboxRemoteDomainMappings',
  ]
  const plain = optionNames.flatMap((name) => {
    const attribute = optionOf(name).ldap
    return attribute === undefined || carried.includes(attribute) ? [] : [[name, attribute] as const]
  })
  /** Valid, and not the default. */
  const another = (name: OptionName): string => {
    const { type, default: usual, min = 0, max } = optionOf(name)
    if (name === 'accessible_services') return 'pop=deny'
    if (name === 'expiration_policy') return 'Trash$86400'
    if (type === 'boolean') return String(!usual).toUpperCase()
    if (type === 'integer')
      return String(Math.min(max ?? Number.POSITIVE_INFINITY, Math.max(min, Number(usual ?? 0)) + 1))
    return type === 'path' ? '/other/path' : 'other'
  }
  it.each(plain)('LDAP-05 LDAP-01: %s is %s', (name, attribute) => {
    const { config } = read({ [attribute]: [another(name)] })
    expect(config.isSet(name)).toBe(true)
    expect(config.get(name)).not.toEqual(optionOf(name).default)
    expect(config.whereSet(name)).toEqual({ source: dn, attribute })
  })
})
