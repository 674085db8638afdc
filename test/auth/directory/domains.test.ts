import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { ConfigOverrides } from '#src/config/config.ts'
import { base, type Slapd, startSlapd, userEntry, users } from '../../support/slapd.ts'
import { directory, open } from './support.ts'

let slapd: Slapd
beforeAll(async () => {
  const company = `dn: associatedDomain=a.example,${users}\nobjectClass: domainRelatedObject\nobjectClass: organization\no: A\nassociatedDomain: a.example`
  slapd = await startSlapd({
    entries: [
      company,
      `${company.replaceAll('a.example', 'off.example')}\ndescription: off`,
      userEntry('joe@a.example', 'secret').replace(`dc=a,dc=example`, 'associatedDomain=a.example'),
      userEntry('joe@off.example', 'secret').replace(`dc=off,dc=example`, 'associatedDomain=off.example'),
      // Of the domain, but not below it.
      userEntry('jane@a.example', 'secret').replace(`dc=a,dc=example`, 'associatedDomain=off.example'),
    ],
  })
})
afterAll(() => slapd.stop())

const opened = (more: ConfigOverrides) => {
  const accounts = open(directory(slapd.url, more))
  onTestFinished(() => accounts.close())
  return accounts
}
const named = {
  saslDomainAttribute: 'associatedDomain',
  ldapdb_domain_ocs: ['top', 'organization', 'domainRelatedObject'],
}
const account = (userId: string) => ({
  userId: userId as UserId,
  state: 'enabled' as const,
  verifiers: undefined,
  services: {},
  properties: [],
})
const found = async (userId: string, more: ConfigOverrides = {}) =>
  (await opened({ ...named, ...more }).find(userId as UserId))?.userId

it.each([
  ['joe@a.example', {}, true],
  ['joe@off.example', {}, true],
  ['joe@b.example', {}, false],
  ['jane@a.example', {}, false],
  ['joe@a.example', { ldapdb_domain_filter: '(&(%s=%s)(!(description=off)))' }, true],
  ['joe@off.example', { ldapdb_domain_filter: '(&(%s=%s)(!(description=off)))' }, false],
  // The manual's example: no name in it.
  ['joe@a.example', { ldapdb_domain_filter: '(objectclass=organization)' }, true],
  ['joe@a.example', { ldapdb_domain_filter: '(objectclass=country)' }, false],
])('USR-06: the entry of the domain leads to users: %s with %j: %s', async (userId, more, there) => {
  expect(await found(userId, more)).toBe(there ? userId : undefined)
})

it('USR-06: a domain filter that is none is refused, and a domain that is there twice lets nobody in', async () => {
  expect(() => opened({ ...named, ldapdb_domain_filter: '(%s=%s' })).toThrow('ldapdb_domain_filter')
  await expect(found('joe@a.example', { ldapdb_domain_filter: '(|(%s=%s)(o=A))' })).rejects.toThrow('several entries')
})

it.each(['*', 'a.example)(objectClass=*', 'a.*'])('a hostile domain %j finds none', async (domain) => {
  expect(await found(`joe@${domain}`)).toBeUndefined()
})

it('USR-06: a new user is put below the entry of the domain, which is made with ldapdb_domain_ocs', async () => {
  const accounts = opened(named)
  await accounts.add(account('new@a.example'))
  expect(slapd.read(`cn=new,associatedDomain=a.example,${users}`)).toContain('uid: new@a.example')
  await accounts.rename('new@a.example' as UserId, 'newer@a.example' as UserId)
  expect((await accounts.find('newer@a.example' as UserId))?.userId).toBe('newer@a.example')
  await expect(accounts.rename('newer@a.example' as UserId, 'newer@off.example' as UserId)).rejects.toThrow(
    'keeps the domain',
  )
  // An organization has to have a name: the server's own words come back.
  await expect(accounts.add(account('new@d.example'))).rejects.toBeInstanceOf(StoreError)
  const simple = opened({ ...named, ldapdb_domain_ocs: ['top', 'untypedObject', 'domainRelatedObject'] })
  await simple.add(account('new@c.example'))
  expect(slapd.read(`associatedDomain=c.example,${users}`)).toContain('objectClass: untypedObject\n')
  expect((await simple.find('new@c.example' as UserId))?.userId).toBe('new@c.example')
})

it.each([
  ['saslDCMappingSuffix', `ou=people,${base}`, {}, 'objectClass: untypedObject\nou: people'],
  [
    'saslSearchSuffix alone',
    `ou=others,${base}`,
    { saslDCMappingSuffix: '' },
    'objectClass: organizationalUnit\nou: others',
  ],
] as const)('USR-06: the container that %s names is made with ldapdb_container_ocs', async (_, dn, more, lines) => {
  const classes = lines.includes('untyped') ? {} : { ldapdb_container_ocs: ['top', 'organizationalUnit'] }
  const accounts = opened({ saslSearchSuffix: dn, saslDCMappingSuffix: dn, ...classes, ...more })
  await accounts.add(account('first@a.example'), Buffer.from('secret'))
  expect(slapd.read(dn)).toContain(lines)
  expect((await accounts.find('first@a.example' as UserId))?.userId).toBe('first@a.example')
})

it('a container whose parent is missing is an error that names it', async () => {
  const accounts = opened({ saslSearchSuffix: `ou=a,ou=b,${base}`, saslDCMappingSuffix: `ou=a,ou=b,${base}` })
  await expect(accounts.add(account('first@a.example'))).rejects.toThrow(`the entry ou=a,ou=b,${base}`)
})
