/**
 * One process of the process test: works on the mailboxes of one account, several things at a time, until it is killed, and says what it was
 * told (told.ts). Arguments: store directory, name of this worker, messages that INBOX and Archive should hold, share of lies (lying-fs.ts),
 * `messages` when the mailboxes are to stay where they are.
 */

import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { nodeFs } from '#src/store/fs.ts'
import { openStore } from '#src/store/store.ts'
import type { Mailbox, MessageRecord } from '#src/store/types.ts'
import { lyingFs } from './lying-fs.ts'
import type { Key, Told } from './told.ts'
import { ReaderView } from './view.ts'

const [root, name, size, lies, only] = process.argv.slice(2) as [string, string, string, string, string?]
const fs = Number(lies) > 0 ? lyingFs(Number(lies)) : nodeFs
/** Copies are made of the store as it ships; elsewhere epochs go while others stand on them. */
const epochKeepMs = only === 'messages' ? 3_600_000 : 0
const store = openStore({ root, clock: systemClock, log: silentLog, fs, epochKeepMs })
const account = store.account('lena@example.com' as UserId)
/** Things done at a time. */
const loops = 3
const maxMessages = Number(size) + 500

/** Synchronous: what was written is with the parent before anything else happens. */
const tell = (...told: Told) => void writeSync(1, `${JSON.stringify(told)}\n`)
const digestOf = (text: string) => createHash('sha256').update(text).digest('base64url')
const keyOf = (mailbox: Mailbox, uid: Uid): Key => `${mailbox.id}/${uid}`
const below = (limit: number) => Math.floor(Math.random() * limit)
const oneOf = <T>(all: readonly T[]): T | undefined => all[below(all.length)]

async function deliver(mailbox: Mailbox, most: number): Promise<void> {
  const texts: { readonly text: string; readonly origin: string | null }[] = []
  await using delivery = mailbox.deliver()
  for (let count = 1 + below(most); count > 0; count -= 1) {
    const origin = below(2) === 0 ? `origin-${below(4000)}` : null
    const text = origin ?? `${name} ${process.pid} ${Math.random()} ${'x'.repeat(below(20) === 0 ? 300_000 : 500)}`
    const sink = delivery.add({ internalDate: 1_700_000_000, ...(origin === null ? {} : { origin }) })
    await sink.write(Buffer.from(text))
    await sink.end()
    texts.push({ text, origin })
  }
  for (const [index, delivered] of (await delivery.commit()).entries()) {
    const { text, origin } = texts[index]!
    if ('uid' in delivered) tell('delivered', keyOf(mailbox, delivered.uid), digestOf(text), origin)
    else if ('duplicateOf' in delivered && origin !== null)
      tell('duplicate', keyOf(mailbox, delivered.duplicateOf.uid), origin)
  }
}

function some({ messages }: Mailbox, count: number): MessageRecord[] {
  const found = Array.from({ length: count }, () => messages.at(below(messages.length)))
  return [...new Set(found.filter((message) => message !== undefined))]
}

async function flag(mailbox: Mailbox): Promise<void> {
  const uids = some(mailbox, 5).map(({ uid }) => uid)
  await mailbox.changeFlags({ uids, mode: below(2) === 0 ? 'add' : 'remove', flags: [`k${below(5)}`] })
  for (const uid of uids) {
    const message = mailbox.byUid(uid)
    if (message !== undefined) tell('flagged', keyOf(mailbox, uid), message.modSeq)
  }
}

/** Two that believe to have changed the same message as of the same MODSEQ can't both be right. */
async function flagConditionally(mailbox: Mailbox): Promise<void> {
  // The newest ones, which others want as well.
  const message = mailbox.messages.at(mailbox.messages.length - 1 - below(3))
  if (message === undefined) return
  const keyword = message.flags.has('c1') ? 'c2' : 'c1'
  const { uid, modSeq } = message
  const { modified } = await mailbox.changeFlags({ uids: [uid], mode: 'set', flags: [keyword], unchangedSince: modSeq })
  if (modified.length === 0 && mailbox.byUid(uid) !== undefined) tell('won', keyOf(mailbox, uid), modSeq)
}

async function expunge(mailbox: Mailbox): Promise<void> {
  const messages = some(mailbox, mailbox.messages.length > maxMessages ? 100 : 3)
  const keys = messages.map(({ uid }) => keyOf(mailbox, uid))
  tell(
    'expunging',
    keys,
    messages.map(({ digest }) => digest),
  )
  const gone = await mailbox.expunge(
    messages.map(({ uid }) => uid),
    'client',
  )
  tell(
    'expunged',
    gone.map((uid) => keyOf(mailbox, uid)),
  )
}

async function copy(source: Mailbox, target: Mailbox, move: boolean): Promise<void> {
  const messages = some(source, 2)
  const uids = messages.map(({ uid }) => uid)
  if (move)
    tell(
      'moving',
      uids.map((uid) => keyOf(source, uid)),
      [],
    )
  const { pairs } = move ? await source.moveTo(uids, target) : await source.copyTo(uids, target)
  for (const [from, to] of pairs) tell('copied', keyOf(target, to), messages.find(({ uid }) => uid === from)!.digest)
  if (move)
    tell(
      'expunged',
      pairs.map(([from]) => keyOf(source, from)),
    )
}

async function recent(mailbox: Mailbox): Promise<void> {
  const { after, upTo } = await mailbox.claimRecent()
  if (upTo > after) tell('recent', mailbox.id, after, upTo)
}

async function read(mailbox: Mailbox): Promise<void> {
  const [message] = some(mailbox, 1)
  if (message === undefined) return
  await using content = await mailbox.content(message)
  const digest = createHash('sha256')
  for await (const chunk of content.stream()) digest.update(chunk)
  tell('saw', keyOf(mailbox, message.uid), digest.digest('base64url'))
}

/** A process that comes new to the mailbox must see what the others do. */
async function openAnew(box: string): Promise<void> {
  await using fresh = openStore({ root, clock: systemClock, log: silentLog, fs, epochKeepMs })
  await using mailbox = await fresh.account(account.userId).open(box)
  look(mailbox, new ReaderView(mailbox))
}

async function trees(): Promise<string[]> {
  return (await account.list()).flatMap((entry) => (/^tree-\d\/in$/.test(entry.name) ? [entry.name.slice(0, 6)] : []))
}

async function renameTree(): Promise<void> {
  const from = oneOf(await trees())
  if (from !== undefined) await account.rename(from, `tree-${below(6)}`)
}

async function deliverElsewhere(): Promise<void> {
  const names = (await account.list()).filter((entry) => /^(tree|own)-/.test(entry.name) && entry.selectable)
  const box = oneOf(names)
  if (box === undefined) return
  await using mailbox = await account.open(box.name)
  const view = new ReaderView(mailbox)
  await deliver(mailbox, 3)
  look(mailbox, view)
}

/** Made and removed by this worker alone; one thing at a time. */
async function makeOrRemove(): Promise<void> {
  const box = `own-${name}`
  if ((await account.list()).some((entry) => entry.name === box)) {
    await using mailbox = await account.open(box)
    tell('removing', box, mailbox.id)
    await account.remove(box)
    tell('removed', box, mailbox.id)
  } else {
    await account.create(box)
    await using mailbox = await account.open(box)
    tell('created', box, mailbox.id)
  }
}

let owning: Promise<void> = Promise.resolve()
function ownInTurn(): Promise<void> {
  const work = owning.then(makeOrRemove)
  owning = work.catch(() => {})
  return work
}

function look(mailbox: Mailbox, view: ReaderView): void {
  const { state, vanished, faults } = view.look()
  tell('state', mailbox.id, state.modSeq, state.uidNext, state.count, state.hash)
  if (vanished.length > 0)
    tell(
      'vanished',
      vanished.map((uid) => keyOf(mailbox, uid)),
    )
  for (const fault of faults) tell('fault', `${name}, ${mailbox.name}: ${fault}`)
  const last = mailbox.messages.at(-1)
  if (last !== undefined) tell('saw', keyOf(mailbox, last.uid), last.digest)
}

await account.ensure()
const inbox = await account.open('INBOX')
const archive = await account.open('Archive')
const views = new Map([inbox, archive].map((mailbox) => [mailbox, new ReaderView(mailbox)]))

/** With its share of the work. */
const steps: readonly (readonly [string, number, () => Promise<unknown>])[] = [
  ['deliver', 8, () => deliver(inbox, 8)],
  ['flag', 4, () => flag(oneOf([inbox, archive])!)],
  ['flag conditionally', 4, () => flagConditionally(inbox)],
  ['expunge', 4, () => expunge(oneOf([inbox, archive])!)],
  ['copy', 3, () => copy(inbox, archive, false)],
  ['move', 3, () => (below(2) === 0 ? copy(inbox, archive, true) : copy(archive, inbox, true))],
  ['recent', 2, () => recent(inbox)],
  ['read', 4, () => read(oneOf([inbox, archive])!)],
  ['refresh', 3, () => oneOf([inbox, archive])!.refresh()],
  ['open', 1, () => openAnew(oneOf(['INBOX', 'Archive'])!)],
  ['rename', 2, renameTree],
  ['deliver elsewhere', 4, deliverElsewhere],
  ['make or remove', 2, ownInTurn],
]
const wheel = steps
  .filter(([word]) => only !== 'messages' || !['rename', 'make or remove'].includes(word))
  .flatMap(([word, share, step]) => Array.from({ length: share }, () => ({ word, step })))

/** Errors that a correct store may answer: for a message or a mailbox that somebody else took away meanwhile, or where the disk lies. */
function isExpected(word: string, error: unknown): error is StoreError {
  if (!(error instanceof StoreError)) return false
  if (error.kind === 'expunged') return true
  if (['rename', 'deliver elsewhere', 'make or remove'].includes(word))
    return (
      ['not-found', 'already-exists'].includes(error.kind) ||
      /ENOENT|moved or removed at the same moment/.test(error.message) ||
      Number(lies) > 0
    )
  return Number(lies) > 0 && error.kind === 'unavailable'
}

async function work(): Promise<void> {
  for (;;) {
    const { word, step } = oneOf(wheel)!
    tell('does', word)
    try {
      await step()
      tell('did', word)
    } catch (error) {
      if (!isExpected(word, error)) {
        tell('fault', `${name}, ${word}: ${error instanceof Error ? error.stack : error}`)
        throw error
      }
      tell('refused', word, `${error.kind}: ${error.message}`)
    }
    for (const [mailbox, view] of views) look(mailbox, view)
  }
}

tell('ready')
// No worker ever ends by itself, which is when it would be written.
flushCompileCache()
await Promise.all(Array.from({ length: loops }, work))
