import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '#test/support/free-port.ts'
import { base, type Slapd, service, startSlapd } from '#test/support/slapd.ts'
import { container, serverDn, serverEntry, setServer } from '../config/ldap/support.ts'
import { type Installation, installation } from './support/process.ts'

const bin = (name: string) => resolve(import.meta.dirname, '../../bin', name)

let slapd: Slapd
let imapPort: number
beforeAll(async () => {
  imapPort = await freePort()
  slapd = await startSlapd({
    entries: [
      container(`cn=Servers,${base}`),
      serverEntry(
        `mboxListeners: imap://127.0.0.1:${imapPort}`,
        `mboxListeners: pop://127.0.0.1:${await freePort()}`,
        'isodeMboxLoginAlert: first',
      ),
      container(`cn=Shared Folders,${serverDn}`),
    ],
  })
})
afterAll(() => slapd.stop())

/** What an IMAP service says first. */
const greeting = async (port: number): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  const [octets] = await once(socket, 'data')
  socket.destroy()
  return String(octets)
}

const elements = (at: Installation, more: Readonly<Record<string, string | number | boolean>> = {}) => ({
  config_location: slapd.url,
  ldap_bind_id: 'wherry',
  ldap_bind_pwd: service.password,
  ldap_basedn: serverDn,
  ldap_connect_retries: 1,
  ldap_connect_retry_pause: 1,
  config_cache: join(at.directory, 'cache'),
  config_refresh: 1,
  ...more,
})

it.each([
  ['one process', false, 31],
  ['a parent with workers', true, 32],
])(
  'LDAP-07: %s starts from what is remembered, and takes in what the directory has when it is back',
  async (_, managed, minutes) => {
    await using at = installation()
    at.configure(elements(at, { managed_services: managed, thread_pool_max: 2 }))
    const start = () => at.start(bin('imapd'), ['-c', at.configFile, '-d'])
    const first = start()
    await first.says('running')
    // The listener of the directory, not the default port.
    expect(await greeting(imapPort)).toMatch(/^\* OK/)
    setServer(slapd, 'isodeMboxLoginAlert: second')
    await first.says('configuration reloaded changed=login_alert')
    slapd.signal('SIGSTOP')
    await first.says('the directory with the configuration is away')
    first.child.kill('SIGTERM')
    expect(await first.ended).toBe(0)

    await slapd.halt()
    const second = start()
    await second.says('running')
    expect(second.output()).toMatch(/config_location: no server has given the configuration \(.*ECONNREFUSED/)
    expect(await greeting(imapPort)).toMatch(/^\* OK/)
    await slapd.resume()
    await second.says('the directory with the configuration can be asked again')
    setServer(slapd, 'isodeMboxLoginAlert: third')
    await second.says('configuration reloaded changed=login_alert')
    // A value that can't be is told, and changes nothing.
    setServer(slapd, 'mboxImapTimeout: 5')
    await second.says('the configuration in the directory is not taken in')
    expect(second.output()).toContain('mboxImapTimeout (imap_timeout): 5 is below the minimum 30')
    setServer(slapd, `mboxImapTimeout: ${minutes}`)
    await second.says('configuration reloaded changed=imap_timeout')
  },
)

it('LDAP-08: without a memory a service and a command end with what is wrong, and no password', async () => {
  await using at = installation()
  at.configure(elements(at, { config_location: `ldap://127.0.0.1:${await freePort()}` }))
  for (const [name, ...args] of [
    ['imapd', '-d'],
    ['msadm', 'list'],
    ['mbox', 'check-config'],
  ] as const) {
    const order = name === 'imapd' || name === 'mbox' ? [...args, '-c', at.configFile] : ['-c', at.configFile, ...args]
    const process = at.start(bin(name), name === 'mbox' ? ['-c', at.configFile, ...args] : order)
    expect(await process.ended).toBe(78)
    expect(process.output()).toMatch(
      /ms\.conf:\d+: config_location: no server has given the configuration .*ECONNREFUSED/,
    )
    expect(process.output()).not.toContain(service.password)
  }
})

it('LDAP-09: what root remembers is root’s, ms_user may read it, and root believes nobody else’s', async () => {
  // Only root can give a file to somebody.
  if (process.geteuid?.() !== 0) return
  await using at = installation()
  const nobody = Number(execFileSync('id', ['-u', 'nobody']))
  const group = Number(execFileSync('id', ['-g', 'nobody']))
  const own = join(at.directory, 'own')
  mkdirSync(own)
  chownSync(own, nobody, group)
  const cache = join(own, 'cache')
  at.configure(elements(at, { config_cache: cache }))
  const list = at.start(bin('msadm'), ['-c', at.configFile, 'list'])
  await list.ended
  expect(statSync(cache)).toMatchObject({ uid: 0, gid: group })
  expect(statSync(cache).mode & 0o777).toBe(0o640)
  chownSync(cache, nobody, group)
  await slapd.halt()
  const refused = at.start(bin('imapd'), ['-c', at.configFile, '-d'])
  expect(await refused.ended).toBe(78)
  expect(refused.output()).toContain(`belongs to the user ${nobody}`)
  await slapd.resume()
})
