/**
 * One first synchronisation as ms_syncd does it, as a program of its own, so that it can be measured like one:
 * `node wherry-sync.ts pop|imap PORT USER PASSWORD DIRECTORY`; prints `messages octets`.
 */

import { BackendProfiles } from '#gateway/backend/profile.ts'
import { directInjection } from '#gateway/sync/inject/direct.ts'
import { Setbacks } from '#gateway/sync/setbacks.ts'
import { syncOnce } from '#gateway/sync/sync-once.ts'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'

const [protocol, port, user, password, directory] = process.argv.slice(2) as [
  'pop' | 'imap',
  string,
  string,
  string,
  string,
]
const profiles = new BackendProfiles()
// A host that was used before, by whomever: what a new one costs once (decisions 180 and 182) is no matter of messages.
Object.assign(profiles.of('127.0.0.1', Number(port)).learned, {
  afterRetrieve: 'keeps',
  nonsenseRefusedAt: Math.floor(Date.now() / 1_000),
})
await using store = openStore({ root: directory, clock: systemClock, log: silentLog })
const result = await syncOnce({
  others: [],
  backend: {
    protocol,
    host: '127.0.0.1',
    port: Number(port),
    user,
    password: undefined,
    mailbox: protocol === 'pop' ? 'INBOX' : '',
    intervalSeconds: -1,
    startTls: 'never',
    tlsVerify: false,
  },
  userId: `${user}@bench.example` as UserId,
  password: Buffer.from(password),
  store,
  access: { profiles },
  policy: { fetchLastN: 0, ignoreFrontendDeletes: false, fetchSetSize: 100, inboxOnly: false },
  injection: directInjection(systemClock),
  setbacks: new Setbacks(),
  clock: systemClock,
  log: silentLog,
})
console.log(`${result.fetched} ${result.fetchedOctets}`)
