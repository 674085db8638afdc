/**
 * Logins a second per mechanism, beside Dovecot in the same run: `npm run bench:auth -- --seconds 3 --clients 8 --repeat 3`. Both have one user, and keep what they know of
 * passwords as they do by default: Wherry scrypt and SCRAM keys, Dovecot the password in clear, which is the least work that there is.
 */
import { parseArgs } from 'node:util'
import { startDovecot } from '#test/support/dovecot.ts'
import { startImapd } from '../test/imapd/support.ts'
import { loginsPerSecond, mechanisms, type Target } from './auth/mechanisms.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '8' },
    repeat: { type: 'string', default: '3' },
  },
})

const user = 'anna@example.org'
await using imapd = await startImapd([user])
await using dovecot = await startDovecot({
  users: { [user]: 'secret' },
  protocols: ['imap'],
  extra: `disable_plaintext_auth = no\nauth_mechanisms = ${mechanisms.join(' ').toLowerCase()}\nmail_max_userip_connections = 1000\n`,
})
const wherry: Target = { name: 'wherry', port: imapd.port, user, password: 'secret' }
const peer: Target = { name: 'dovecot', port: dovecot.imapPort, user, password: 'secret' }

const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1]!
process.stdout.write(
  '| mechanism | Wherry logins/s | Dovecot logins/s | Wherry : Dovecot |\n| --- | --- | --- | --- |\n',
)
for (const mechanism of mechanisms) {
  const [own, theirs]: [number[], number[]] = [[], []]
  for (let turn = 0; turn < Number(values.repeat); turn++) {
    for (const [target, rates] of [
      [wherry, own],
      [peer, theirs],
    ] as const)
      rates.push(await loginsPerSecond(target, mechanism, Number(values.clients), Number(values.seconds) * 1000))
  }
  const [a, b] = [median(own), median(theirs)]
  process.stdout.write(`| ${mechanism} | ${a.toFixed(0)} | ${b.toFixed(0)} | ${(a / b).toFixed(2)} |\n`)
}
