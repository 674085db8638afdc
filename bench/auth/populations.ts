/** Many users, in the embedded database and in slapd. All have one password, and one verifier of it: making those would take an hour. */
import { join } from 'node:path'
import { openAccounts } from '#src/auth/accounts.ts'
import { createHashPool } from '#src/auth/hash-pool.ts'
import type { UserId } from '#src/base/ids.ts'
import { domainEntriesOf, type Slapd, service, startSlapd, userEntry, users } from '#test/support/slapd.ts'

export const password = 'correct horse'
export const domain = 'bench.example'
export const userOf = (number: number) => `user${number}@${domain}` as UserId

export interface Population extends AsyncDisposable {
  readonly source: string
  readonly users: number
  /** Elements of ms.conf that lead to it. */
  readonly options: string
  /** Of its server. */
  readonly pid: number | undefined
}

/** Durable writes side by side. */
const atOnce = 64

export async function embedded(directory: string, count: number): Promise<Population> {
  const path = join(directory, `accounts-${count}`)
  const hashPool = createHashPool()
  const accounts = openAccounts(path, hashPool)
  const verifiers = await hashPool.make(Buffer.from(password))
  let next = 0
  const write = async () => {
    while (next < count)
      await accounts.put({ userId: userOf(next++), state: 'enabled', verifiers, services: {}, properties: [] })
  }
  await Promise.all(Array.from({ length: atOnce }, write))
  await accounts.close()
  return {
    source: 'embedded',
    users: count,
    options: `<account_db>${path}</account_db>`,
    pid: undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** `bind`: hashed by the server, tried by a bind; else in clear, and compared. */
export async function inSlapd(kind: 'bind' | 'compare', count: number): Promise<Population> {
  const entries = Array.from({ length: count }, (_, number) => userEntry(userOf(number), password))
  const slapd: Slapd = await startSlapd({ entries: [...domainEntriesOf(domain), ...entries] })
  return {
    source: kind === 'bind' ? 'slapd, by bind' : 'slapd, compared',
    users: count,
    options: `<use_hashed_passwords>${kind === 'bind'}</use_hashed_passwords><sasl><auxprop_plugin>ldapdb</auxprop_plugin>
      <ldapdb_uri>${slapd.url}</ldapdb_uri><ldapdb_mech>SIMPLE</ldapdb_mech><ldapdb_dn>${service.dn}</ldapdb_dn>
      <ldapdb_pw>${service.password}</ldapdb_pw><saslSearchSuffix>${users}</saslSearchSuffix></sasl>`,
    pid: slapd.pid,
    [Symbol.asyncDispose]: () => slapd.stop(),
  }
}
