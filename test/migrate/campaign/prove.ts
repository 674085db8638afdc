/**
 * `npm run prove:migration -- [--servers dovecot,cyrus,courier] [--protocols imap,pop] [--accounts N] [--first N] [--huge N] [--usual N] [--seed N] [--at-once N]`
 *
 * Moves the accounts of real old servers here by their users' first logins, and prints what was compared, every difference, and what the servers would
 * not have. Exits with 1 when there is a difference.
 */
import { programArgs } from '#test/support/program-args.ts'
import { campaign, type OldProtocol } from './campaign.ts'
import { type OldServerName, oldServers } from './old-servers.ts'

const { values } = programArgs({
  options: {
    servers: { type: 'string', default: 'dovecot,cyrus,courier' },
    protocols: { type: 'string', default: 'imap,pop' },
    accounts: { type: 'string', default: '50' },
    first: { type: 'string', default: '0' },
    huge: { type: 'string', default: '3000' },
    usual: { type: 'string', default: '120' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '3' },
  },
})

let differences = 0
for (const server of values.servers.split(',')) {
  if (!(server in oldServers)) throw new Error(`no such server: ${server} (${Object.keys(oldServers).join(', ')})`)
  const began = performance.now()
  const { refused, byProtocol } = await campaign(server as OldServerName, {
    accounts: Number(values.accounts),
    first: Number(values.first),
    seed: Number(values.seed),
    scale: { huge: Number(values.huge), usual: Number(values.usual) },
    protocols: values.protocols.split(',').map((protocol): OldProtocol => (protocol === 'pop' ? protocol : 'imap')),
    atOnce: Number(values['at-once']),
    tell: (text) => console.log(text),
  })
  console.log(`\n${server}, ${Math.round((performance.now() - began) / 1000)} s`)
  for (const [protocol, moved] of Object.entries(byProtocol)) {
    differences += moved.differences.length
    console.log(
      `  ${protocol}: ${moved.accounts} accounts, ${moved.mailboxes} mailboxes, ${moved.messages} messages, ${moved.octets} octets: ${moved.differences.length} differences; ` +
        `${protocol === 'imap' ? 'mbsync' : 'fetchmail'} knew ${moved.cached} messages and fetched ${moved.fetched}`,
    )
    for (const [reason, times] of moved.exceptions) console.log(`    ${times} times: ${reason}`)
  }
  for (const [words, { times, example }] of refused)
    console.log(`  refused by the server ${times} times, for example ${example}: ${words}`)
}
process.exitCode = differences > 0 ? 1 : 0
