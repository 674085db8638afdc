import { systemClock } from '../../../base/clock.ts'
import { type Backend, loadUserDatabase, type UserDatabase } from '../../../config/backends.ts'
import type { OAuthProviderRecord } from '../../../config/oauth-provider.ts'
import { type Consent, type Consents, openConsents } from '../../../oauth/consents.ts'
import { clientOf, providerOf } from '../../../oauth/provider.ts'
import { OAuthError, TokenEndpoint, type Tokens } from '../../../oauth/token-endpoint.ts'
import {
  type Command,
  CommandError,
  type Context,
  canonical,
  onlyUserId,
  readArguments,
  UsageError,
} from '../command.ts'

/** RFC 8628 §3.5 */
const slowDownSeconds = 5
/** Nobody listens there: the browser shows an error, and its address bar what is needed. RFC 8252 §7.3 */
const usualRedirect = 'http://127.0.0.1/'

export const oauth: Command = {
  name: 'oauth',
  usage: 'oauth list | oauth consent [-b] [-r uri] [-n number] userid | oauth forget [-n number] userid',
  summary: 'consents of users to the access to their backends',
  words: ['list', 'consent', 'forget'],
  details: `  list         every consent and its state; records of ms_sync.xml that wait for one
  consent      asks the provider for the right to read a mailbox: shows an address and a code, which the user enters on any device
               within some minutes. A consent that is there is replaced.
  -b           in a browser: shows an address; what the browser's address bar holds afterwards is pasted here
  -r uri       the redirect URI that the provider knows for this client (${usualRedirect})
  -n number    which backend of the user, from 1, where several take tokens
  forget       removes a consent here; the provider still has it until it is revoked there

Which backends take tokens, and of which provider, is said in ms_sync.xml (auth='oauth', oauth_provider). Providers with grant='service'
need no consent.

Examples
  msadm oauth consent joe@example.org         msadm oauth consent -b joe@example.org
  msadm --json oauth list                     msadm oauth forget -n 2 joe@example.org`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      b: { type: 'boolean', short: 'b' },
      r: { type: 'string', short: 'r' },
      n: { type: 'string', short: 'n' },
    })
    const [action, ...words] = positionals
    if (action !== 'list' && action !== 'consent' && action !== 'forget')
      throw new UsageError('list, consent or forget is needed, for example: oauth consent joe@example.org')
    if (action !== 'consent' && (values.b === true || values.r !== undefined))
      throw new UsageError('-b and -r are for consent')
    try {
      const { database } = await loadUserDatabase(context.config)
      const consents = await openConsents(context.config)
      if (action === 'list') {
        if (words.length > 0 || values.n !== undefined) throw new UsageError('list takes no userid')
        return await list(database, consents, context)
      }
      const userId = onlyUserId(words)
      const { backend, provider } = chosen(userId, values.n, database, context)
      const owner = { provider: provider.name, user: backend.user }
      if (action === 'forget') {
        await consents.forget(owner)
        context.print(`forgot the consent of ${owner.user} to ${owner.provider}`, owner)
        return
      }
      if (provider.grant === 'service')
        throw new CommandError(`${provider.name} has grant='service': it needs no consent of a user`)
      const endpoint = new TokenEndpoint(providerOf(provider), clientOf(provider))
      const inBrowser = values.b === true || values.r !== undefined
      const tokens = await (inBrowser
        ? byBrowser(endpoint, values.r ?? usualRedirect, context)
        : byDevice(endpoint, context))
      if (tokens.refreshToken === undefined)
        throw new CommandError('the provider gave no refresh token; the client must be allowed offline access')
      await consents.keep(owner, tokens.refreshToken)
      context.print(`${owner.user} has consented to ${owner.provider}`, { ...owner, state: 'ready' })
      context.note(
        `ms_syncd uses it at its next look at this backend, at once with: msstat -e ms_sync:${canonical(userId, context)}`,
      )
    } catch (error) {
      if (error instanceof OAuthError) throw new CommandError(error.message)
      throw error
    }
  },
}

const list = async (database: UserDatabase, consents: Consents, context: Context): Promise<void> => {
  const kept: Consent[] = []
  for await (const consent of consents.list()) kept.push(consent)
  const key = (provider: string, user: string) => JSON.stringify([provider, user])
  const known = new Set(kept.map(({ provider, user }) => key(provider, user)))
  const lines: { provider: string; user: string; state: string; since?: Date; sealed?: boolean }[] = kept.map(
    ({ provider, user, state, since, isSealed }) => ({ provider, user, state, since, sealed: isSealed }),
  )
  for (const { frontendId } of database.records) {
    // Of a domain nobody knows the users.
    if (frontendId.startsWith('@')) continue
    for (const { backend, provider } of tokenBackends(frontendId, database, context)) {
      const { user } = backend
      if (provider.grant === 'service' || known.has(key(provider.name, user))) continue
      known.add(key(provider.name, user))
      lines.push({ provider: provider.name, user, state: 'none' })
    }
  }
  lines.sort((a, b) => (key(a.provider, a.user) < key(b.provider, b.user) ? -1 : 1))
  for (const line of lines) {
    const { provider, user, state, since } = line
    const when = since === undefined ? '' : ` since ${since.toISOString()}`
    context.print(`${provider}  ${user}  ${state}${when}`, { ...line })
  }
}

interface TokenBackend {
  readonly backend: Backend
  readonly provider: OAuthProviderRecord
}

const tokenBackends = (userId: string, database: UserDatabase, context: Context): readonly TokenBackend[] => {
  const backends = database.find(userId, canonical(userId, context), context.config)
  return (backends === undefined ? [] : [backends.master, ...backends.extra]).flatMap((backend) =>
    backend.service?.type === 'token' ? [{ backend, provider: backend.service.provider }] : [],
  )
}

/** Throws UsageError and CommandError. */
const chosen = (userId: string, number: string | undefined, database: UserDatabase, context: Context): TokenBackend => {
  const all = tokenBackends(userId, database, context)
  if (all.length === 0)
    throw new CommandError(
      `no backend of ${userId} takes tokens; set auth='oauth' and oauth_provider in ${database.file ?? 'ms_sync.xml'}`,
    )
  const names = all
    .map(({ backend, provider }, at) => `${at + 1} ${backend.user} at ${backend.host} (${provider.name})`)
    .join(', ')
  if (number === undefined && all.length > 1) throw new UsageError(`-n has to say which: ${names}`)
  const one = /^\d{1,4}$/.test(number ?? '1') ? all[Number(number ?? '1') - 1] : undefined
  if (one === undefined) throw new UsageError(`-n takes a number of these: ${names}`)
  return one
}

/** RFC 8628 */
const byDevice = async (endpoint: TokenEndpoint, context: Context): Promise<Tokens> => {
  const { deviceCode, userCode, verificationUri, expiresIn, interval } = await endpoint.beginDevice()
  context.print(
    `Open ${verificationUri} on any device and enter the code ${userCode} there, within ${Math.floor(expiresIn / 60)} minutes.`,
    {
      verificationUri,
      userCode,
      expiresIn,
    },
  )
  const endMs = systemClock.monotonic() + expiresIn * 1000
  for (let seconds = interval; systemClock.monotonic() < endMs; ) {
    await systemClock.sleep(seconds * 1000)
    try {
      return await endpoint.pollDevice(deviceCode)
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      if (error.kind === 'slow-down') seconds += slowDownSeconds
      else if (error.kind !== 'pending' && error.kind !== 'temporary') throw error
    }
  }
  throw new CommandError('nobody entered the code in time; begin again')
}

/** RFC 6749 §4.1, RFC 7636 */
const byBrowser = async (endpoint: TokenEndpoint, redirectUri: string, context: Context): Promise<Tokens> => {
  const { url, state, verifier } = endpoint.consentUrl(redirectUri)
  context.print(`Open this address in a browser and consent:\n${url}`, { url })
  context.note('The browser ends at a page that it can not show. Paste the whole address of that page:')
  const answer = await context.readLine()
  const parameters = URL.canParse(answer) ? new URL(answer).searchParams : undefined
  const refusal = parameters?.get('error')
  if (refusal !== null && refusal !== undefined)
    throw new CommandError(`the provider says: ${JSON.stringify(refusal.slice(0, 100))}`)
  const code = parameters?.get('code')
  if (code === null || code === undefined) throw new CommandError('that is no address with a code; begin again')
  // Another consent's answer: somebody else's mailbox would be read as this user's. RFC 6749 §10.12
  if (parameters?.get('state') !== state) throw new CommandError('that is the answer to another question; begin again')
  return endpoint.exchangeCode(code, redirectUri, verifier)
}
