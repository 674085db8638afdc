/**
 * Mailbox access keys and the tokens that are made with them: RFC 4467 §2. A key belongs to a user and a mailbox, and is a value of the user's account.
 * docs/decisions/0316-urlauth.md
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import type { MailboxId } from '../base/ids.ts'
import type { Account } from '../store/types.ts'

/** The only one: RFC 4467 §2.4.1. */
export const mechanism = 'INTERNAL'

const prefix = 'urlauth/'
const keyOctets = 32
/** Of an account, which has them in memory; those of mailboxes that are gone stay until RESETKEY. */
const maxKeys = 10_000
/** Tells tokens by their algorithm: HMAC-SHA-256 of the rump URL. RFC 4467 §2.4.1 */
const algorithm = '01'

export class UrlKeys {
  readonly #account: Account

  /** `account`: of the user whose URLs they are. */
  constructor(account: Account) {
    this.#account = account
  }

  /** Whose key it is; `local`: as the account calls the mailbox. Throws StoreError not-found. */
  async mailboxIn(account: Account, local: string): Promise<MailboxId> {
    const id = await account.findId(local)
    if (id === undefined) throw new StoreError('not-found', 'The mailbox does not exist')
    return id
  }

  /** Makes a key where there is none. Throws StoreError; limit where there are too many. */
  async token(mailbox: MailboxId, rump: string): Promise<string> {
    const key = await this.#find(mailbox)
    if (key !== undefined) return tokenOf(key, rump)
    await this.#checkRoom()
    // Another session may make one at the same moment: one of both is kept.
    await this.#account.update(prefix + mailbox, (value) => value ?? newKey())
    return tokenOf((await this.#find(mailbox)) ?? Buffer.alloc(0), rump)
  }

  /** All URLs with the old one are void. */
  async reset(mailbox: MailboxId): Promise<void> {
    if ((await this.#find(mailbox)) === undefined) await this.#checkRoom()
    await this.#account.put({ [prefix + mailbox]: newKey() })
  }

  async resetAll(): Promise<void> {
    const keys = await this.#account.entries(prefix)
    if (keys.size > 0) await this.#account.put(Object.fromEntries([...keys.keys()].map((key) => [key, undefined])))
  }

  /** Whether the token is that of the URL. */
  async isValid(mailbox: MailboxId, rump: string, token: string): Promise<boolean> {
    return isToken(await this.#find(mailbox), rump, token)
  }

  async #checkRoom(): Promise<void> {
    if ((await this.#account.entries(prefix)).size >= maxKeys)
      throw new StoreError('limit', `At most ${maxKeys} mailboxes have a key; RESETKEY without a mailbox removes all`)
  }

  async #find(mailbox: MailboxId): Promise<Buffer | undefined> {
    const value = await this.#account.get(prefix + mailbox)
    return typeof value === 'string' ? Buffer.from(value, 'base64') : undefined
  }
}

const newKey = () => randomBytes(keyOctets).toString('base64')

/** Without a key it takes as long, and is wrong. RFC 4467 §6 */
export function isToken(key: Buffer | undefined, rump: string, token: string): boolean {
  const expected = Buffer.from(tokenOf(key ?? randomBytes(keyOctets), rump))
  const given = Buffer.from(token.toLowerCase())
  return given.length === expected.length && timingSafeEqual(given, expected) && key !== undefined
}

function tokenOf(key: Buffer, rump: string): string {
  return algorithm + createHmac('sha256', key).update(rump, 'latin1').digest('hex')
}
