/**
 * Logins a second per mechanism, beside Dovecot in the same run: `npm run bench:auth -- --seconds 3 --clients 8 --repeat 3`. Both have one user, and keep what they know of
 * passwords as they do by default: Wherry scrypt and SCRAM keys, Dovecot the password in clear, which is the least work that there is. Both run as an operator runs them, in
 * processes of their own. The clients share the machine with whom they measure: CPU of the servers a login is printed too.
 */

import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import type { UserId } from '#src/base/ids.ts'
import { treeCpuMs } from '#test/support/cpu.ts'
import { startDovecot } from '#test/support/dovecot.ts'
import { programArgs } from '#test/support/program-args.ts'
import { startWherry } from '#test/support/wherry.ts'
import { loginsPerSecond, mechanisms, type Target } from './auth/mechanisms.ts'

const { values } = programArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '8' },
    repeat: { type: 'string', default: '3' },
  },
})

const user = 'anna@example.org'
await using gateway = await startWherry({
  services: ['mseventd', 'imapd'],
  options: { gateway_mode: false, failed_logins_per_minute: 0 },
})
const accounts = openAccounts(`${gateway.directory}/accounts`)
const verifiers = makeVerifiers(Buffer.from('secret'))
await accounts.add({ userId: user as UserId, state: 'enabled', verifiers, services: {}, properties: [] })
await using dovecot = await startDovecot({
  users: { [user]: 'secret' },
  protocols: ['imap'],
  extra: `disable_plaintext_auth = no\nauth_mechanisms = ${mechanisms.join(' ').toLowerCase()}\nmail_max_userip_connections = 1000\n`,
})
const targets: readonly (Target & { readonly cpuMs: () => number })[] = [
  { name: 'wherry', port: gateway.imapPort, user, password: 'secret', cpuMs: () => treeCpuMs(gateway.pid) },
  { name: 'dovecot', port: dovecot.imapPort, user, password: 'secret', cpuMs: () => treeCpuMs(dovecot.pid) },
]

const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1]!
const clients = Number(values.clients)
const ms = Number(values.seconds) * 1000
process.stdout.write(
  '| mechanism | Wherry logins/s | Dovecot logins/s | Wherry : Dovecot | CPU ms/login, Wherry | Dovecot |\n| --- | --- | --- | --- | --- | --- |\n',
)
for (const mechanism of mechanisms) {
  const rates = targets.map(() => ({ perSecond: [] as number[], cpuMs: [] as number[] }))
  // The first login of a process hashes, and the first thousands are compiled.
  for (const target of targets) await loginsPerSecond(target, mechanism, clients, ms)
  for (let turn = 0; turn < Number(values.repeat); turn++)
    for (const [index, target] of targets.entries()) {
      const before = target.cpuMs()
      const { perSecond, logins } = await loginsPerSecond(target, mechanism, clients, ms)
      rates[index]!.perSecond.push(perSecond)
      rates[index]!.cpuMs.push((target.cpuMs() - before) / logins)
    }
  const [own, theirs] = rates.map(({ perSecond, cpuMs }) => ({ perSecond: median(perSecond), cpuMs: median(cpuMs) }))
  process.stdout.write(
    `| ${mechanism} | ${own!.perSecond.toFixed(0)} | ${theirs!.perSecond.toFixed(0)} | ${(own!.perSecond / theirs!.perSecond).toFixed(2)} | ${own!.cpuMs.toFixed(2)} | ${theirs!.cpuMs.toFixed(2)} |\n`,
  )
}
