/**
 * Accounts of a real old server that are moved here by their users' first logins, and read on both sides by a program of its own. MIG-02 to MIG-14
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import PQueue from 'p-queue'
import { RawImap } from '../../support/raw-imap.ts'
import { RawPop3 } from '../../support/raw-pop3.ts'
import { startWherry, type Wherry } from '../../support/wherry.ts'
import { oldAccount, type Scale } from './accounts.ts'
import { type CachedClient, fetchmailAt, mbsyncAt } from './cached-clients.ts'
import { add, type Comparison, compareImap, comparePop3, except, newComparison } from './compare.ts'
import { fill, type Refusals } from './fill.ts'
import { type OldServer, type OldServerName, oldServers } from './old-servers.ts'
import { readImap } from './read-imap.ts'
import { readPop3 } from './read-pop3.ts'

export interface CampaignOptions {
  readonly accounts: number
  /** The account that the first user has; kinds come in turn. */
  readonly first?: number
  readonly seed: number
  readonly scale: Scale
  readonly protocols: readonly OldProtocol[]
  /** Accounts that are moved at the same time. */
  readonly atOnce: number
  readonly tell?: (text: string) => void
}

export type OldProtocol = 'imap' | 'pop'

export interface CampaignResult {
  readonly refused: Refusals
  readonly byProtocol: Readonly<Partial<Record<OldProtocol, Moved>>>
}

export interface Moved extends Comparison {
  accounts: number
  /** Messages that the cached clients knew, and those that they fetched from here. */
  cached: number
  fetched: number
}

const password = 'secret'

export async function campaign(name: OldServerName, options: CampaignOptions): Promise<CampaignResult> {
  const { accounts, first = 0, seed, scale, atOnce, protocols, tell = () => {} } = options
  const users = Array.from({ length: accounts }, (_, at) => `u${at}`)
  await using old = await oldServers[name](Object.fromEntries(users.map((user) => [user, password])))
  const refused: Refusals = new Map()
  await inTurns(users, 4, async (user, at) => {
    await using imap = await RawImap.connect(old.imapPort)
    await imap.login(user, password)
    await fill(imap, oldAccount(first + at, seed, scale), refused)
  })
  tell(`${name}: ${accounts} accounts are there`)
  const byProtocol: Partial<Record<OldProtocol, Moved>> = {}
  for (const protocol of protocols) {
    await using wherry = await startWherry({
      options: {
        gateway_mode: false,
        auto_migrate: true,
        ms_syncd_host: '127.0.0.1',
        ms_syncd_protocol: protocol,
        ms_syncd_port: protocol === 'imap' ? old.imapPort : old.pop3Port,
      },
    })
    const moved: Moved = { ...newComparison(), accounts: 0, cached: 0, fetched: 0 }
    const directory = await mkdtemp(join(tmpdir(), 'cached-clients-'))
    try {
      await inTurns(users, atOnce, async (user, at) => {
        const { kind } = oldAccount(first + at, seed, { huge: 0, usual: 0 })
        const loginAt = at % 2 === 0 ? 'imapd' : 'pop3d'
        const compare = protocol === 'imap' ? moveImap : movePop3
        const result = await compare({ old, wherry, user, loginAt, directory: join(directory, user) }, moved).catch(
          (error: unknown) => ({ ...newComparison(), differences: [`${(error as Error).stack}`] }),
        )
        moved.accounts += 1
        add(moved, {
          ...result,
          differences: result.differences.map((text) => `${name}, ${protocol}, ${user} (${kind}): ${text}`),
        })
        for (const text of result.differences) tell(`${name}, ${protocol}, ${user} (${kind}, by ${loginAt}): ${text}`)
      })
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
    byProtocol[protocol] = moved
    tell(`${name}, ${protocol}: ${moved.accounts} accounts were moved`)
  }
  return { refused, byProtocol }
}

interface Move {
  readonly old: OldServer
  readonly wherry: Wherry
  readonly user: string
  readonly loginAt: 'imapd' | 'pop3d'
  readonly directory: string
}

type Counts = Pick<Moved, 'cached' | 'fetched'>

async function moveImap({ old, wherry, user, loginAt, directory }: Move, counts: Counts): Promise<Comparison> {
  const mbsync = await mbsyncAt(old.imapPort, user, directory)
  const there = await readImap(old.imapPort, user, password)
  await login(wherry, user, loginAt)
  const here = await readImap(wherry.imapPort, user, password)
  const result = compareImap(there, here)
  const after = compareImap(there, await readImap(old.imapPort, user, password))
  result.differences.push(...after.differences.map((text) => `the old server after the move: ${text}`))
  await moveClient(mbsync, wherry.imapPort, 'mbsync', result, counts)
  return result
}

async function movePop3({ old, wherry, user, loginAt, directory }: Move, counts: Counts): Promise<Comparison> {
  const fetchmail = await fetchmailAt(old.pop3Port, user, directory)
  const there = await readPop3(old.pop3Port, user, password)
  await login(wherry, user, loginAt)
  const result = comparePop3(there, await readPop3(wherry.pop3Port, user, password))
  const after = comparePop3(there, await readPop3(old.pop3Port, user, password))
  result.differences.push(...after.differences.map((text) => `the old server after the move: ${text}`))
  await moveClient(fetchmail, wherry.pop3Port, 'fetchmail', result, counts)
  return result
}

async function moveClient(
  client: CachedClient | undefined,
  port: number,
  name: string,
  result: Comparison,
  counts: Counts,
): Promise<void> {
  if (client === undefined) return except(result, `${name} could not cope with the names at the old server`)
  const { fetched, complaint } = await client.movedTo(port)
  if (complaint.includes('too deeply nested'))
    return except(result, `${name} could not cope with the names at the old server`)
  const missed = [...complaint.matchAll(/far side box (.*) cannot be opened/g)].map(([, box]) => box!)
  for (const box of missed)
    if (result.renamed.has(box)) except(result, `${name} missed a mailbox that has another name here`)
    else result.differences.push(`${name} missed ${box}`)
  if (complaint !== '' && missed.length === 0) result.differences.push(`${name}: ${complaint}`)
  counts.cached += client.cached
  const others = new Set(result.renamed.values())
  for (const box of fetched)
    if (others.has(box)) except(result, `${name} fetched a message of a mailbox that has another name here`)
    else {
      counts.fetched += 1
      result.differences.push(`${name} fetched a message of ${box} again, or lost it`)
    }
}

async function login(wherry: Wherry, user: string, at: Move['loginAt']): Promise<void> {
  if (at === 'pop3d') {
    await using pop = await RawPop3.login(wherry.pop3Port, user, password)
    await pop.command('QUIT')
  } else {
    await using imap = await RawImap.connect(wherry.imapPort)
    await imap.login(user, password)
  }
}

async function inTurns(
  users: readonly string[],
  concurrency: number,
  work: (user: string, at: number) => Promise<void>,
): Promise<void> {
  const queue = new PQueue({ concurrency })
  await queue.addAll(users.map((user, at) => () => work(user, at)))
}
