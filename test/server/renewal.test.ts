import { copyFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { freePort } from '#test/support/free-port.ts'
import { certificates } from './support/certificates.ts'
import { installation } from './support/process.ts'
import { until } from './support/serving.ts'

const bin = (name: string) => resolve(import.meta.dirname, '../../bin', name)

it('a renewed certificate is taken in at SIGHUP, towards mseventd too (EVT-13, F40)', async () => {
  const made = certificates()
  onTestFinished(() => made[Symbol.dispose]())
  for (const name of ['first', 'second']) made.make(name)
  const install = (name: string) => {
    for (const kind of ['pem', 'key']) copyFileSync(made.path(`${name}.${kind}`), made.path(`mail.${kind}`))
  }
  install('first')
  await using at = installation({
    msevent_host: '127.0.0.1',
    msevent_port: await freePort(),
    msevent_tls: true,
    tls_cert_file: made.path('mail.pem'),
    tls_key_file: made.path('mail.key'),
    pop3_host: '127.0.0.1',
    pop3_port: await freePort(),
    managed_services: false,
  })
  const hub = at.start(bin('mseventd'), ['-c', at.configFile, '-d'])
  await hub.says('running')
  const pop3d = at.start(bin('pop3d'), ['-c', at.configFile, '-d'])
  await pop3d.says('connected to mseventd')
  await pop3d.says('running')
  install('second')
  for (const service of [hub, pop3d]) {
    service.child.kill('SIGHUP')
    await service.says(
      `configuration reloaded changed="no option" read="${at.configFile} ${made.path('mail.pem')} ${made.path('mail.key')}"`,
    )
  }
  hub.child.kill('SIGKILL')
  await hub.ended
  const again = at.start(bin('mseventd'), ['-c', at.configFile, '-d'])
  await again.says('running')
  await until(() => pop3d.output().split('connected to mseventd').length === 3)
  expect(pop3d.output()).not.toContain('another certificate')
  // Its own client it is not.
  expect(hub.output() + again.output()).not.toContain('mseventd at')
  const status = at.start(bin('msstat'), ['-c', at.configFile])
  expect(await status.ended).toBe(0)
  expect(status.output()).toMatch(/^online ~ pop3 /)
})

it('options of TLS are said to need no restart, but for msevent_tls', async () => {
  const made = certificates()
  onTestFinished(() => made[Symbol.dispose]())
  made.make('mail')
  const elements = {
    pop3_host: '127.0.0.1',
    pop3_port: await freePort(),
    managed_services: false,
    tls_cert_file: made.path('mail.pem'),
    tls_key_file: made.path('mail.key'),
  }
  await using at = installation(elements)
  const pop3d = at.start(bin('pop3d'), ['-c', at.configFile, '-d'])
  await pop3d.says('running')
  at.configure({ ...elements, tls_cipher_list: 'HIGH', tls_require_client_cert: true })
  pop3d.child.kill('SIGHUP')
  await pop3d.says('configuration reloaded changed="tls_cipher_list tls_require_client_cert"')
  at.configure({ ...elements, msevent_tls: true, msevent_host: join(at.directory, 'mseventd') })
  pop3d.child.kill('SIGHUP')
  await pop3d.says('restart=msevent_tls')
})

it('a reload names the files that were read again, and warns of an unknown option once', async () => {
  const elements = {
    gateway_mode: true,
    ms_syncd_host: 'pop.example.net',
    ms_sync_userdb: 'ms_sync.xml',
    managed_services: false,
  }
  await using at = installation(elements)
  const users = join(at.directory, 'ms_sync.xml')
  writeFileSync(users, '<xmldb/>')
  const syncd = at.start(bin('ms_syncd'), ['-c', at.configFile, '-d'])
  await syncd.says('running')
  writeFileSync(users, "<xmldb><user frontend_id='joe'/></xmldb>")
  at.configure({ ...elements, fetch_lst_n: 1 })
  syncd.child.kill('SIGHUP')
  await syncd.says(`configuration reloaded changed="no option" read="${at.configFile} ${users}"`)
  expect(syncd.output().split('fetch_lst_n: is not an option; did you mean fetch_last_n?')).toHaveLength(2)
})
