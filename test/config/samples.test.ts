import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeUserDatabase } from '#src/config/backends.ts'
import { formatFinding } from '#src/config/finding.ts'
import { elementName, parseConfig } from '#src/config/ms-conf.ts'
import { parseUserDatabase } from '#src/config/ms-sync.ts'
import { optionNames, optionOf } from '#src/config/options.ts'

const read = (name: string) => readFileSync(resolve(import.meta.dirname, '../../etc', name))
const conf = read('ms.conf.local').toString()
const ldap = read('ms.conf.ldap').toString()
const parse = (text: string) => parseConfig(Buffer.from(text), '/etc/isode/ms.conf')

describe('the sample files in etc/', () => {
  it('ms.conf.local is a gateway, without a warning', () => {
    const { config, findings } = parse(conf)
    expect(findings.map(formatFinding)).toEqual([])
    expect([config?.get('gateway_mode'), config?.get('ms_syncd_host')]).toEqual([true, 'pop.example.net'])
  })

  it('SRV-05: ms.conf.ldap leads to a directory, without a warning', () => {
    const { config, findings } = parse(ldap)
    expect(findings.map(formatFinding)).toEqual([])
    expect(config?.get('config_location')).toEqual(['ldap://localhost:389'])
  })

  it.each([
    ['ms.conf.local', conf, 20],
    ['ms.conf.ldap', ldap, 7],
  ])('what %s has in comments is valid, and the default where it says so', (_, text, least) => {
    const commented = [...text.matchAll(/<!-- (Example: )?(<(\w+)[ >].*>) -->/g)]
    expect(commented.length).toBeGreaterThan(least)
    for (const [comment, example, element = '', tag = ''] of commented) {
      const without = text.replace(new RegExp(`^ *<${tag}>.*</${tag}>$`, 'm'), '')
      const { config, findings } = parse(without.replace(comment, element))
      expect(findings.map(formatFinding), element).toEqual([])
      const name = optionNames.find((candidate) => elementName(candidate) === tag)!
      if (example === undefined) expect(config?.get(name), element).toEqual(optionOf(name).default)
    }
  })

  it('ms_sync.xml says what its comments say', () => {
    const { config } = parse(conf)
    const { records, warnings } = parseUserDatabase(read('ms_sync.xml'), 'ms_sync.xml')
    expect(warnings).toEqual([])
    const database = makeUserDatabase('ms_sync.xml', records)
    expect(database.find('joe', 'joe@example.org', config!)?.master).toMatchObject({
      protocol: 'pops',
      host: 'pop.example.com',
      port: 995,
      user: 'joe@mail.example.com',
    })
    for (const user of ['joe', 'joe@example.com'])
      expect(database.find(user, 'joe@example.com', config!)?.master.user).toBe('joe')
    const anna = database.find('anna@example.org', 'anna@example.org', config!)!
    expect(anna.master).toMatchObject({ user: 'a.smith', startTls: 'required', mailbox: 'INBOX' })
    expect(anna.extra).toMatchObject([{ host: 'old.example.com', mailbox: 'Archive', intervalSeconds: 3600 }])
  })

  it('LDAP-11 AUTH-15: a configuration with users and shared folders in the directory warns of each option without effect, and loads', () => {
    const { config, findings } = parse(`<ms_options>
      <config_location>local</config_location>
      <shared_root name='staff' path='/srv/staff'><user name='a' access='all'/><group name='anyone' access=''/></shared_root>
      <group name='staff'><user name='a'/></group>
      <sasl>
        <auxprop_plugin>ldapdb</auxprop_plugin>
        <ldapdb_uri>ldap://ldap.example.net:19389</ldapdb_uri>
        <ldapdb_dn>cn=DSA Manager, cn=dsa, o=myisp</ldapdb_dn>
        <ldapdb_pw>secret</ldapdb_pw>
        <ldapdb_mech>SIMPLE</ldapdb_mech>
        <saslSearchSuffix>ou=users, o=myisp</saslSearchSuffix>
      </sasl>
    </ms_options>`)
    expect(config?.get('shared_root')?.access).toEqual([
      { kind: 'user', name: 'a', access: ['all'] },
      { kind: 'group', name: 'anyone', access: [] },
    ])
    expect(config?.get('ldapdb_uri')).toEqual(['ldap://ldap.example.net:19389'])
    expect(findings.map(({ severity, line, option }) => [severity, line, option])).toEqual([
      // AUTH-15: the passwords go over the network in clear.
      ['warning', 7, 'ldapdb_uri'],
    ])
  })
})
