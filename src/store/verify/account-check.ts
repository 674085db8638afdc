/** Checks one account: its tree of mailboxes, level by level, and its log. */

import { createHash } from 'node:crypto'
import { StoreError } from '../../base/errors.ts'
import type { UserId } from '../../base/ids.ts'
import { AccountState } from '../account-state.ts'
import { namedIn } from '../acl-values.ts'
import { codeOf, type FileStatus, unlessAbsent } from '../fs.ts'
import { parseMessageFileName } from '../message-file.ts'
import { childName } from '../names.ts'
import { removedName } from '../removed-mailboxes.ts'
import { folders, listMailboxes, makeIfAbsent, piecesOf } from '../tree.ts'
import { checkCache } from './cache-check.ts'
import { checkDirectory, checkLogFolder, checkTmp, statuses } from './folders-check.ts'
import { checkLog } from './log-check.ts'
import { LogScan, Moved } from './log-scan.ts'
import { MailboxCheck } from './mailbox-check.ts'
import { checkMessages } from './messages-check.ts'
import { quarantineName } from './quarantine.ts'
import { checkRemoved } from './removed-check.ts'
import type { Place, Run } from './run.ts'
import { checkStray } from './stray.ts'
import { UsageCheck, usageName } from './usage-check.ts'

/** A mailbox, or a level above one; '' for the account's own directory. */
interface Level {
  readonly name: string
  readonly directory: string
}

/** What lies in every directory of the tree besides child mailboxes. */
const ownFolders: ReadonlySet<string> = new Set(['log', ...folders])
/** Where the account keeps what was taken out of the tree. */
const ownOfAccount: ReadonlySet<string> = new Set([quarantineName, removedName])
/** A removal that has not ended by now never will. */
const removalMs = 600_000

/** `isTree`: it belongs to no user, and `userId` is its name. */
export async function checkAccount(run: Run, userId: UserId, directory: string, isTree = false): Promise<void> {
  const status = await unlessAbsent(run.fs.status(directory))
  if (status === undefined) return
  const place: Place = { userId, owner: status.owner, top: directory, isTree }
  await run.checkAccess(directory, status, place)
  const usage = new UsageCheck(run, place)
  const waiting: Level[] = [{ name: '', directory }]
  const mailboxes = await listMailboxes(run.fs, directory)
  run.step({ what: 'mailboxes', count: mailboxes.filter(({ selectable }) => selectable).length })
  for (let level = waiting.pop(); level !== undefined; level = waiting.pop())
    try {
      waiting.push(...(await checkLevel(run, place, usage, level)))
    } catch (error) {
      if ((await unlessAbsent(run.fs.status(level.directory))) === undefined) continue
      const code = error instanceof Moved ? error.message : codeOf(error)
      if (code === undefined || error instanceof StoreError) throw error
      const path = error instanceof Error && 'path' in error ? String(error.path) : level.directory
      await run.found({ kind: 'unreadable', path, userId, mailbox: level.name || undefined, detail: code })
    }
  if (!run.archived) await checkRemoved(run, place, directory)
  await run.settle()
}

/** Answers the levels below. */
async function checkLevel(run: Run, account: Place, usage: UsageCheck, { name, directory }: Level): Promise<Level[]> {
  const place = name === '' ? account : { ...account, mailbox: name }
  const own = new Map<string, FileStatus>()
  const below: Level[] = []
  for await (const [entry, status] of statuses(run, directory)) {
    const path = `${directory}/${entry}`
    const child = status.isDirectory ? childName(name, entry) : undefined
    if (ownFolders.has(entry) && !(name === '' && entry === 'msg')) own.set(entry, status)
    else if (name === '' && ownOfAccount.has(entry)) continue
    else if (child === undefined) await checkStray(run, place, path, status)
    else {
      await run.checkAccess(path, status, place)
      below.push({ name: child, directory: path })
    }
  }
  for (const entry of own.keys()) await checkDirectory(run, place, `${directory}/${entry}`)
  if (own.has('tmp')) await checkTmp(run, place, `${directory}/tmp`)
  if (name === '')
    for await (const [entry, status] of statuses(run, `${directory}/cache`))
      if (entry === usageName && status.kind === 'file') await usage.read(status)
      else await checkStray(run, place, `${directory}/cache/${entry}`, status)
  if (name === '') await checkAccountLog(run, place, directory, own.has('log'))
  else if (own.has('log')) await checkMailbox(run, place, directory, usage)
  else if (own.has('msg')) await checkForgotten(run, place, directory, usage)
  return below
}

async function checkAccountLog(run: Run, place: Place, directory: string, hasLog: boolean): Promise<void> {
  const userId = place.userId!
  const open = async () => {
    await using store = run.openStore()
    await run.accountIn(store, place).subscriptions()
  }
  if (!hasLog) {
    // One that is being made, or removed, has it in a moment, or is gone.
    const status = await unlessAbsent(run.fs.status(directory))
    if (status === undefined || run.clock.now() - status.changedMs < removalMs) return
    const path = `${directory}/log`
    if ((await unlessAbsent(run.fs.status(path))) !== undefined) return
    await run.found({ kind: 'log-missing', path, userId, detail: 'the account has none' }, async () => {
      for (const folder of ['log', 'tmp']) await makeIfAbsent(run.fs, `${directory}/${folder}`)
      await open()
    })
    return
  }
  const scan = new LogScan(run.fs, 'account', directory, () => new AccountState(run.clock), digestOf)
  try {
    await checkLogFolder(run, place, scan.folders)
    const { view } = await checkLog(run, { scan, place, stateProblems: async () => [], open })
    if (view.newest !== undefined) await checkNotes(run, place, view.newest.state)
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === 'not-found')) throw error
  }
}

/** Whoever a list names finds the mailboxes by a note. */
async function checkNotes(run: Run, { userId, top, isTree }: Place, { values }: AccountState): Promise<void> {
  const named = namedIn(values)
  if (named.size === 0 || run.archived || isTree === true) return
  await using store = run.openStore()
  for (const identifier of named) {
    if ((await store.sharers.of(identifier)).includes(userId!)) continue
    await run.found({ kind: 'share-unnoted', path: top, userId, detail: `for ${identifier}` }, () =>
      store.sharers.add(identifier, userId!),
    )
  }
}

async function checkMailbox(run: Run, place: Place, directory: string, usage: UsageCheck): Promise<void> {
  const check = new MailboxCheck(run, place, directory)
  try {
    await checkLogFolder(run, place, check.scan.folders)
    await check.checkLog()
    if (check.isGone) return
    await checkFolders(check)
    run.step({ what: 'messages', count: check.state.messages.length })
    await checkMessages(check)
    if (check.isGone) return
    await checkCache(check)
    if (check.sound) await usage.compare(check)
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === 'not-found')) throw error
  } finally {
    run.step({ what: 'mailbox' })
    await check.close()
  }
}

/** The folders without which nothing can be delivered. */
async function checkFolders(check: MailboxCheck): Promise<void> {
  const { run, place, directory } = check
  for (const folder of ['msg', 'tmp']) {
    const path = `${directory}/${folder}`
    if ((await unlessAbsent(run.fs.status(path))) !== undefined || !(await check.refresh())) continue
    const { userId, mailbox } = place
    await run.found({ kind: 'directory-missing', path, userId, mailbox }, () => makeIfAbsent(run.fs, path))
  }
}

/** Message files, and no log that names them. A removal takes the log first, and then the files. */
async function checkForgotten(run: Run, place: Place, directory: string, usage: UsageCheck): Promise<void> {
  const { userId, mailbox } = place
  const status = await unlessAbsent(run.fs.status(directory))
  if (status === undefined || run.clock.now() - status.changedMs < removalMs) return
  const path = `${directory}/log`
  let files = 0
  for await (const entries of piecesOf(run.fs, `${directory}/msg`))
    files += entries.filter(({ name }) => parseMessageFileName(name) !== undefined).length
  if (files === 0 || (await unlessAbsent(run.fs.status(path))) !== undefined) return
  const check = new MailboxCheck(run, place, directory)
  const mended = await run.found({ kind: 'log-missing', path, userId, mailbox, detail: `${files} files` }, async () => {
    await makeIfAbsent(run.fs, path)
    await check.open()
  })
  if (mended) await checkMailbox(run, place, directory, usage)
}

async function digestOf({ subscriptions, values }: AccountState): Promise<string> {
  const sorted = [[...subscriptions].sort(), [...values].sort(([a], [b]) => (a < b ? -1 : 1))]
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url')
}
