/**
 * Decides about logins: against accounts, or in gateway mode by asking ms_syncd, which asks the user's master backend
 * (GW-12, GW-25); in migration mode it is asked about who has no account, and makes one (MIG-02, MIG-03). In synchronisation mode ms_syncd is told whom an account let in (SYN-01); with both modes, an account decides where there
 * is one (docs/decisions/0161-synchronisation-mode.md). Whoever is refused learns nothing about which users exist: the words and the work are the same
 * for an unknown user and a wrong password (a decoy is hashed, SCRAM keys are made up).
 */

import type { Clock } from '../base/clock.ts'
import { AuthError, StoreError, SyntaxFault } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { readsClearPasswords, usesDirectory } from '../config/directory.ts'
import { administers, isAdministrator, serviceAccess } from './access.ts'
import { openAccountSource } from './account-source.ts'
import type { AccountRecord } from './accounts.ts'
import { createHashPool, type HashPool, hashThreads } from './hash-pool.ts'
import { type AskService, askMsSyncd, tellAdmitted } from './ms-syncd.ts'
import { badCredentials, denied } from './refusals.ts'
import type { Proof } from './sasl/mechanism.ts'
import { mechanisms, offeredOverTls, offerOf } from './sasl/offer.ts'
import { accountKey, shareThrottle, type ThrottleBus } from './shared-throttle.ts'
import { createStrangers } from './strangers.ts'
import { createThrottle } from './throttle.ts'
import { openTokenUsers, takesTokens } from './token-users.ts'
import type { Authenticator, Login, LoginPlace, SaslRequest } from './types.ts'
import { canonicalUserId, defaultDomain } from './user-id.ts'
import { openUsers } from './users.ts'
import { createVerified } from './verified.ts'

/** A login waits for ms_syncd as long as the backend may take to answer, or for a whole first synchronisation (GW-17). */
const fastLoginTimeoutMs = 3 * 60_000
const wholeSyncTimeoutMs = 6 * 60 * 60_000
/** More than anybody types or a token has. */
const maxPasswordOctets = 4096
/** More than a password takes to check on a server that is not busy. */
const refusedAfterMs = 100
/** Of a user name in a log. */
const maxLoggedName = 320

export interface ReloadableAuthenticator extends Authenticator {
  /** From now on by this configuration. What was counted against addresses stays. */
  reload(config: Config): void
  /** Ends connections to a directory. */
  close(): Promise<void>
}

export interface AuthenticatorParts {
  readonly config: Config
  readonly log: Log
  readonly clock: Clock
  /** Needed in gateway, migration and synchronisation mode. */
  readonly ask?: AskService
  /** Where other processes tell of wrong passwords; the ones here are told there. */
  readonly bus?: ThrottleBus
  /** The authenticator's own when not given. */
  readonly hashPool?: HashPool
}

/** Throws TypeError for a mode that needs `ask` without it. */
export const createAuthenticator = (parts: AuthenticatorParts): ReloadableAuthenticator => {
  const { log, clock, ask, bus, hashPool = createHashPool() } = parts
  let config = parts.config
  const accounts = openAccountSource({ config, log, clock, hashPool })
  const verified = createVerified(clock)
  const usersOf = (from: Config) => {
    const hasClearPasswords = readsClearPasswords(from)
    return openUsers(accounts, { directory: from.get('account_db'), hasClearPasswords, verified, hashPool, clock })
  }
  let users = usersOf(config)
  let tokenUser = takesTokens(config) ? openTokenUsers(config) : undefined
  const throttle = shareThrottle(
    createThrottle(clock, () => config.get('failed_logins_per_minute')),
    bus,
    clock,
  )
  const strangers = createStrangers(clock, hashThreads)
  const accountOf = (user: string, place: LoginPlace): string | undefined => {
    try {
      return accountKey(canonical(user, place.localAddress, config))
    } catch (error) {
      if (error instanceof AuthError) return undefined
      throw error
    }
  }
  const check = (candidate: Config) => {
    const asks = candidate.get('gateway_mode') || candidate.get('auto_migrate') || candidate.get('sync_mode')
    if (asks && ask === undefined) throw new TypeError('this mode needs a way to ask ms_syncd')
  }
  check(config)

  const decide = async (proof: Proof, place: LoginPlace): Promise<Login> => {
    const { user, password } = proof
    const { service } = place
    if (password !== undefined) checkPassword(password)
    const userId = canonical(user, place.localAddress, config)
    const timeoutMs = config.get('backend_fast_login') ? fastLoginTimeoutMs : wholeSyncTimeoutMs
    const [migrates, syncs] = [config.get('auto_migrate'), config.get('sync_mode')]
    // A mail server logs in with an account of its own, which has nothing to be moved or synchronised.
    const isUser = service !== 'lmtp'
    const asksBackend = isUser && (config.get('gateway_mode') || migrates) && password !== undefined
    // Whoever has an account is decided here; whether there is one is not told.
    const hasAccount = !asksBackend || ((migrates || syncs) && isDecisive(await accounts.find(userId), migrates))
    if (ask !== undefined && asksBackend && !hasAccount) {
      if (serviceAccess(config, service) === 'deny') throw denied(service)
      // RFC 4616 §2: who has no account here acts for nobody else.
      if (proof.authzid !== undefined && canonical(proof.authzid, place.localAddress, config) !== userId)
        throw new AuthError('denied', 'acting for another user is not allowed')
      const passage = await askMsSyncd(ask, { ...place, user, password }, userId, timeoutMs)
      return passage === undefined ? { userId } : { userId, passage }
    }
    const account = await (password === undefined ? users.proven(userId) : checked(userId, password, place))
    const acting = await actingAs(proof, account, place)
    if (ask !== undefined && syncs && isUser) {
      const own = acting === account.userId
      const admitted = { user: own ? user : acting, userId: acting, password: own ? password : undefined }
      await tellAdmitted(ask, admitted, timeoutMs, place.signal, log)
    }
    return isAdministrator(config, account.userId, place.localAddress)
      ? { userId: acting, byAdministrator: true }
      : { userId: acting }
  }

  /** A directory has limits of its own. */
  const checked = (userId: UserId, password: Buffer, { remoteAddress }: LoginPlace): Promise<AccountRecord> => {
    const check = () => users.withPassword(userId, password)
    return usesDirectory(config) || throttle.isKnown(remoteAddress, accountKey(userId))
      ? check()
      : strangers.inTurn(check)
  }

  /** Whom the proven user acts as: itself, or as an administrator anybody who has an account and is administered by it. RFC 4422 §2 */
  const actingAs = async ({ authzid }: Proof, account: AccountRecord, place: LoginPlace): Promise<UserId> => {
    checkState(account)
    const { userId, services } = account
    const wanted = authzid === undefined ? userId : canonical(authzid, place.localAddress, config)
    if (wanted === userId) {
      if (serviceAccess(config, place.service, services) === 'deny') throw denied(place.service)
      return userId
    }
    if (!administers(config, userId, wanted, place.localAddress))
      throw new AuthError('denied', 'acting for another user is not allowed')
    const other = await accounts.find(wanted)
    if (other === undefined) throw new AuthError('denied', 'there is no such user to act for')
    if (other.state === 'migrating') checkState(other)
    return other.userId
  }

  /** Logs how it ended. `user` is asked when it has; `admit` is for the attempt, as soon as it knows whom it is about, and refuses early. */
  const recorded = async (
    place: LoginPlace,
    user: () => string,
    attempt: (admit: (account: string | undefined) => void) => Promise<Login>,
  ): Promise<Login> => {
    const { service, remoteAddress, sessionId, secure } = place
    // AUTH-14
    const fields = () => ({
      session: sessionId,
      client: remoteAddress,
      service,
      user: user().slice(0, maxLoggedName),
      tls: secure,
    })
    let isRefused = false
    const admit = (account: string | undefined) => {
      const wait = throttle.wait(remoteAddress, account)
      if (wait === 0) return
      isRefused = true
      log.log('notice', 'login refused: too many wrong passwords from this address, or for this user', fields())
      throw new AuthError('unavailable', `too many failed logins; try again in ${Math.ceil(wait / 1000)} seconds`)
    }
    try {
      return await attempt(admit)
    } catch (error) {
      if (error instanceof AuthError && !isRefused) {
        if (error.kind === 'bad-credentials') throttle.decided('failed', remoteAddress, accountOf(user(), place))
        log.log('notice', 'login failed', { ...fields(), kind: error.kind, reason: reasonOf(error) })
      }
      throw error
    }
  }
  const decided = async (proof: Proof, place: LoginPlace, fields: Readonly<Record<string, string>>): Promise<Login> => {
    // Begun before anything is looked up: how long that takes is not seen in the answer.
    const answerTime = clock.sleep(refusedAfterMs)
    const login = await decide(proof, place).catch(async (error: unknown) => {
      await answerTime
      return asAuthError(error)
    })
    const { service, remoteAddress: client, sessionId: session, secure: tls } = place
    throttle.decided('succeeded', client, accountOf(proof.user, place))
    log.log('notice', 'login', { session, client, service, user: login.userId, tls, ...fields })
    return login
  }

  return {
    offer: (channel, service) => offerOf(config, channel, service),
    login: ({ user, password, ...place }) =>
      recorded(
        place,
        () => user,
        async (admit) => {
          admit(accountOf(user, place))
          return decided({ user, password, authzid: undefined }, place, {})
        },
      ),
    authenticate: (request) => {
      let user = ''
      return recorded(
        request,
        () => user,
        async (admit) => {
          const { mechanism: name, ask: askClient, initial, channel } = request
          const mechanism = mechanisms.find((known) => known.name === name)
          const offered = offerOf(config, channel, request.service).mechanisms
          if (mechanism === undefined || !offered.includes(name)) throw notOffered(config, request)
          const isAbout = (given: string) => {
            user = given
            admit(accountOf(given, request))
          }
          const proof = await mechanism.run({
            ask: askClient,
            initial,
            channel,
            offered,
            scramKeys: async (given, hash) => {
              isAbout(given)
              return users.scramKeys(canonical(given, request.localAddress, config), hash).catch(asAuthError)
            },
            clearPassword: async (given) => {
              isAbout(given)
              return users.clearPassword(canonical(given, request.localAddress, config)).catch(asAuthError)
            },
            realm: defaultDomain(config, request.localAddress),
            service: request.service,
            tokenUser: async (token) => {
              if (tokenUser === undefined) throw notOffered(config, request)
              admit(undefined)
              user = await tokenUser(token)
              return user
            },
          })
          if (proof.password !== undefined) isAbout(proof.user)
          user = proof.user
          const acts = proof.authzid === undefined ? {} : { authenticated: user.slice(0, maxLoggedName) }
          const login = await decided(proof, request, { mechanism: name, ...acts })
          if (proof.last !== undefined && (await askClient(proof.last)).length > 0)
            throw new SyntaxFault(`${name}: expected an empty response`, 'message')
          return login
        },
      )
    },
    reload: (next) => {
      check(next)
      accounts.reload(next)
      users = usersOf(next)
      tokenUser = takesTokens(next) ? openTokenUsers(next) : undefined
      config = next
    },
    close: () => {
      throttle.close()
      return accounts.close()
    },
  }
}

const notOffered = (config: Config, { mechanism, channel, service }: SaslRequest): AuthError =>
  channel === undefined && offeredOverTls(config, mechanism, service)
    ? new AuthError('privacy-required', 'no TLS')
    : new AuthError('no-mechanism', `${mechanism.slice(0, 20)} is not offered`)

/**
 * Before anybody is asked: an empty password would make a directory bind anonymously (RFC 4513 §5.1.2); NUL can't be sent on
 * (RFC 4616 §2), and neither can CR and LF by POP3 and IMAP.
 */
const checkPassword = (password: Buffer) => {
  if (password.length === 0 || password.length > maxPasswordOctets) throw badCredentials()
  for (const octet of password) if (octet === 0 || octet === 10 || octet === 13) throw badCredentials()
}

const canonical = (user: string, localAddress: string, config: Config): UserId => {
  try {
    return canonicalUserId(user, defaultDomain(config, localAddress))
  } catch (cause) {
    if (cause instanceof SyntaxFault) throw badCredentials(cause)
    throw cause
  }
}

/** With migration mode, ms_syncd knows where the mail is of an account that waits. */
const isDecisive = (account: AccountRecord | undefined, migrates: boolean): boolean =>
  account !== undefined && !(migrates && account.state === 'migrating')

const checkState = ({ state }: AccountRecord) => {
  if (state === 'disabled') throw new AuthError('denied', 'this account is disabled')
  if (state === 'migrating') throw new AuthError('denied', 'this account waits for its migration')
}

/** A damaged account file, or a directory that is away, must not look like a wrong password. */
const asAuthError = (error: unknown): never => {
  if (error instanceof AuthError) throw error
  const text = error instanceof StoreError ? 'the account database is not available' : 'the login could not be decided'
  throw new AuthError('unavailable', text, { cause: error })
}

/** For the log alone; no cause of ours carries a password. */
const reasonOf = ({ cause, message }: AuthError): string =>
  (cause instanceof Error ? cause.message : message).slice(0, 500)
