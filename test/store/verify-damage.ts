/** Damage to be planted in a store on a real disk, and what a check has to call it. */

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { crc32 } from 'node:zlib'
import { expect, onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { encodeOperations, type Operation, sealEntry } from '#src/store/change-set.ts'
import { beginLog } from '#src/store/epochs.ts'
import { nodeFs } from '#src/store/fs.ts'
import { MailboxState } from '#src/store/mailbox-state.ts'
import { parseMessageFileName } from '#src/store/message-file.ts'
import type { FindingKind } from '#src/store/verify/finding.ts'
import { LogScan } from '#src/store/verify/log-scan.ts'
import { user } from './support.ts'

/** Paths in a planted store. */
export interface Tree {
  readonly root: string
  readonly account: string
  readonly inbox: string
}

export interface Damage {
  readonly what: string
  readonly kinds: readonly FindingKind[]
  readonly plant: (tree: Tree) => void | Promise<void>
  /** What a repair meets besides. */
  readonly inRepair?: readonly FindingKind[]
  /** The octets of this many messages are lost. */
  readonly lost?: number
}

export const treeIn = (root: string): Tree => ({ root, account: `${root}/${user}`, inbox: `${root}/${user}/INBOX` })

export const messageFiles = ({ inbox }: Tree) => readdirSync(`${inbox}/msg`).sort()
const aMessage = (tree: Tree) => `${tree.inbox}/msg/${messageFiles(tree)[1]}`
const epochs = (directory: string) =>
  readdirSync(`${directory}/log`)
    .sort()
    .map((name) => `${directory}/log/${name}`)
const newest = (directory: string) => epochs(directory).at(-1)!
const entries = (epoch: string) =>
  readdirSync(epoch)
    .filter((name) => name !== 'base')
    .sort()
    .map((name) => `${epoch}/${name}`)

function flip(path: string, at = 40): void {
  const octets = readFileSync(path)
  const place = Math.min(at, octets.length - 1)
  octets[place] = octets[place]! ^ 1
  // In place: the file keeps its identity, as with a bad sector.
  const fd = openSync(path, 'r+')
  writeSync(fd, octets)
  closeSync(fd)
}

function replace(path: string, make: (path: string) => void): void {
  unlinkSync(path)
  make(path)
}

const write = (path: string) => writeFileSync(path, 'not ours', { mode: 0o600 })

async function addEntry(directory: string, ...operations: Operation[]): Promise<void> {
  const last = entries(newest(directory)).at(-1)!
  const number = Number(last.slice(last.lastIndexOf('/') + 1)) + 1
  const octets = sealEntry('change', 'planted', await encodeOperations(operations))
  writeFileSync(`${newest(directory)}/${String(number).padStart(12, '0')}`, octets, { mode: 0o600 })
}

/** Makes a log that begins with the mailbox's state as `change` leaves it, as of `before` entries before the last one. */
async function forge(inbox: string, change: (state: MailboxState) => void, before = 0): Promise<void> {
  const scan = new LogScan(
    nodeFs,
    'mailbox',
    inbox,
    () => new MailboxState(systemClock),
    async () => '',
  )
  const { state, number, epoch } = (await scan.read()).newest!
  change(state)
  rmSync(`${inbox}/log`, { recursive: true })
  mkdirSync(`${inbox}/log`, { mode: 0o700 })
  await beginLog(nodeFs, `${inbox}/log`, state, number - before, epoch.id)
}

const device = (path: string) => void execFileSync('mknod', ['-m', '600', path, 'c', '1', '3'])
/** Of the mailbox that was removed. */
export const removedIn = ({ account }: Tree) => `${account}/.removed/${readdirSync(`${account}/.removed`)[0]}`

function socketAt(path: string): Promise<void> {
  const server = createServer()
  onTestFinished(() => void server.close())
  return new Promise((resolve) => server.listen(path, resolve))
}

const orderKeys = ({ inbox }: Tree) => `${inbox}/cache/keys-1.1`
const texts = ({ inbox }: Tree) => `${inbox}/cache/texts-1.1`
const summaries = ({ inbox }: Tree) => `${inbox}/cache/summaries-2.1`

export const damages: readonly Damage[] = [
  { what: 'a bit of a message', kinds: ['message-digest'], plant: (tree) => flip(aMessage(tree)), lost: 1 },
  {
    what: 'a message cut off',
    kinds: ['message-size'],
    plant: (tree) => truncateSync(aMessage(tree), 20),
    lost: 1,
  },
  { what: 'an empty message', kinds: ['message-size'], plant: (tree) => truncateSync(aMessage(tree), 0), lost: 1 },
  {
    what: 'a message with more behind it',
    kinds: ['message-size'],
    plant: (tree) => appendFileSync(aMessage(tree), 'more'),
    lost: 1,
  },
  { what: 'a message removed', kinds: ['message-missing'], plant: (tree) => unlinkSync(aMessage(tree)), lost: 1 },
  {
    what: 'a directory in the place of a message',
    kinds: ['message-special'],
    plant: (tree) => replace(aMessage(tree), (path) => mkdirSync(path)),
    lost: 1,
  },
  {
    what: 'a link in the place of a message',
    kinds: ['message-special'],
    plant: (tree) => replace(aMessage(tree), (path) => symlinkSync('/etc/hostname', path)),
    lost: 1,
  },
  {
    what: 'a FIFO in the place of a message',
    kinds: ['message-special'],
    plant: (tree) => replace(aMessage(tree), (path) => execFileSync('mkfifo', ['-m', '600', path])),
    lost: 1,
  },
  {
    what: 'a device in the place of a message',
    kinds: ['message-special'],
    plant: (tree) => replace(aMessage(tree), device),
    lost: 1,
  },
  { what: 'a device', kinds: ['special-file'], plant: ({ inbox }) => device(`${inbox}/tmp/null`) },
  {
    what: 'a message at UIDNEXT',
    kinds: ['uid-order'],
    plant: ({ inbox }) =>
      forge(inbox, (state) => {
        state.uidNext = state.messages.at(state.messages.length - 1)!.uid
      }),
  },
  {
    what: 'a message that was changed later than the log goes',
    kinds: ['mod-sequence'],
    plant: ({ inbox }) => forge(inbox, () => {}, 1),
  },
  {
    what: 'two messages with one origin',
    kinds: ['origin-twice'],
    inRepair: ['left-over'],
    plant: (tree) => {
      const first = messageFiles(tree).find((name) => name.includes('O=pop%3Ahost%2F1,'))!
      const file = first.replace(/,[a-z0-9]+,([^,]*)$/, ',zzz,$1')
      cpSync(`${tree.inbox}/msg/${first}`, `${tree.inbox}/msg/${file}`)
      return forge(tree.inbox, (state) => {
        const { flags, modSeq, origin } = state.messages.at(0)!
        const row = {
          uid: state.uidNext,
          file,
          named: parseMessageFileName(file),
          modSeq,
          addedModSeq: modSeq,
          savedDate: 0,
          origin,
        }
        // No entry can do that.
        const add = Reflect.get(state, 'addRow') as (row: object) => void
        add.call(state, { ...row, flags: state.flagTable.number([...flags]), uidl: null })
        state.applied(modSeq)
      })
    },
  },
  {
    what: 'a file beside removed mailboxes',
    kinds: ['stray-file'],
    plant: ({ account }) => write(`${account}/.removed/notes`),
  },
  { what: 'a file in a removed mailbox', kinds: ['stray-file'], plant: (tree) => write(`${removedIn(tree)}/notes`) },
  {
    what: 'the name of a removed mailbox',
    kinds: ['removed-about'],
    plant: (tree) => flip(`${removedIn(tree)}/about`, 0),
  },
  {
    what: 'the log of a removed mailbox',
    kinds: ['log-entry'],
    plant: (tree) => flip(entries(newest(removedIn(tree))).at(-1)!),
  },
  {
    what: 'a file beside accounts that are made or moved',
    kinds: ['stray-file'],
    plant: ({ root }) => {
      mkdirSync(`${root}/.places`, { mode: 0o700 })
      write(`${root}/.places/notes`)
    },
  },
  {
    what: 'all messages of a mailbox removed with their directory',
    kinds: ['directory-missing', ...Array.from({ length: 6 }, (): FindingKind => 'message-missing')],
    plant: ({ inbox }) => rmSync(`${inbox}/msg`, { recursive: true }),
    lost: 6,
  },
  { what: 'a foreign file among messages', kinds: ['stray-file'], plant: ({ inbox }) => write(`${inbox}/msg/README`) },
  {
    what: "an editor's files",
    kinds: ['stray-file', 'stray-file'],
    plant: (tree) => {
      write(`${aMessage(tree)}~`)
      write(`${tree.inbox}/msg/.message.swp`)
    },
  },
  {
    what: 'an empty file',
    kinds: ['stray-file'],
    plant: ({ inbox }) => writeFileSync(`${inbox}/msg/empty`, '', { mode: 0o600 }),
  },
  { what: 'a file beside the mailboxes', kinds: ['stray-file'], plant: ({ account }) => write(`${account}/notes.txt`) },
  { what: 'a file beside the accounts', kinds: ['stray-file'], plant: ({ root }) => write(`${root}/core.1234`) },
  { what: 'a file in the log', kinds: ['stray-file'], plant: ({ inbox }) => write(`${newest(inbox)}/x.bak`) },
  { what: 'a file beside the epochs', kinds: ['stray-file'], plant: ({ inbox }) => write(`${inbox}/log/.DS_Store`) },
  { what: 'a file in the cache', kinds: ['stray-file'], plant: ({ inbox }) => write(`${inbox}/cache/thumbs.db`) },
  {
    what: 'a directory in the tree of mailboxes',
    kinds: ['stray-directory'],
    plant: ({ inbox }) => void mkdirSync(`${inbox}/.git/objects`, { recursive: true }),
  },
  { what: 'a socket', kinds: ['special-file'], plant: ({ inbox }) => socketAt(`${inbox}/msg/s`) },
  { what: 'a FIFO', kinds: ['special-file'], plant: ({ inbox }) => void execFileSync('mkfifo', [`${inbox}/tmp/pipe`]) },
  { what: 'a link to nowhere', kinds: ['special-file'], plant: ({ account }) => symlinkSync('gone', `${account}/new`) },
  {
    what: 'a file where a directory belongs',
    kinds: ['not-a-directory'],
    plant: ({ inbox }) => {
      rmSync(`${inbox}/cache`, { recursive: true })
      write(`${inbox}/cache`)
    },
  },
  {
    what: 'a directory of a mailbox removed',
    kinds: ['directory-missing'],
    plant: ({ inbox }) => rmSync(`${inbox}/tmp`, { recursive: true }),
  },
  { what: 'the last entry of a log', kinds: ['log-entry'], plant: ({ inbox }) => flip(entries(newest(inbox)).at(-1)!) },
  {
    what: 'an entry cut off',
    kinds: ['log-entry'],
    plant: ({ inbox }) => truncateSync(entries(newest(inbox)).at(-1)!, 25),
  },
  {
    what: 'an entry of the epoch before',
    kinds: ['log-entry'],
    plant: ({ inbox }) => flip(entries(epochs(inbox)[0]!)[1]!),
  },
  {
    what: 'an entry that is JSON and means nothing',
    kinds: ['log-entry'],
    plant: ({ inbox }) => addEntry(inbox, ['add', 'no message file', [], null, null, 99]),
  },
  {
    what: 'an entry removed',
    kinds: ['log-hole'],
    plant: ({ inbox }) => unlinkSync(entries(newest(inbox)).at(-2)!),
  },
  {
    what: 'the base of an epoch',
    kinds: ['log-base'],
    plant: ({ inbox }) => flip(`${newest(inbox)}/base`, 100),
  },
  {
    what: 'the base of an epoch removed',
    kinds: ['log-base'],
    plant: ({ inbox }) => unlinkSync(`${newest(inbox)}/base`),
  },
  { what: 'the first entry of an epoch', kinds: ['log-base'], plant: ({ inbox }) => flip(entries(newest(inbox))[0]!) },
  {
    what: 'all epochs removed',
    kinds: ['log-base'],
    plant: ({ inbox }) => {
      for (const epoch of epochs(inbox)) rmSync(epoch, { recursive: true })
    },
  },
  {
    what: 'a log removed',
    kinds: ['log-missing'],
    plant: ({ inbox }) => rmSync(`${inbox}/log`, { recursive: true }),
  },
  {
    what: 'the end of an epoch removed',
    kinds: ['log-chain'],
    plant: ({ inbox }) => unlinkSync(entries(epochs(inbox)[0]!).at(-1)!),
  },
  {
    what: 'an epoch of another log',
    kinds: ['log-chain'],
    plant: ({ account, inbox }) => {
      const other = newest(`${account}/^archive`)
      const name = other.slice(other.lastIndexOf('.'))
      cpSync(other, `${inbox}/log/000000000001${name}`, { recursive: true })
      renameSync(entries(`${inbox}/log/000000000001${name}`)[0]!, `${inbox}/log/000000000001${name}/000000000001`)
    },
  },
  {
    what: 'a state that is not what the entries made',
    kinds: ['log-replay'],
    plant: async ({ inbox }) => {
      const path = entries(newest(inbox))[0]!
      const text = readFileSync(path, 'latin1')
      const lines = text.slice(text.indexOf('\n') + 1, text.lastIndexOf('crc32 '))
      const number = Number(path.slice(-12)) - 1
      const more = await encodeOperations([
        ['entry', number],
        ['expunge', 'client', '2'],
      ])
      writeFileSync(path, sealEntry('state', 'planted', Buffer.concat([Buffer.from(lines, 'latin1'), more])))
    },
  },
  {
    what: 'two messages with one file',
    kinds: ['file-twice'],
    plant: (tree) => addEntry(tree.inbox, ['add', messageFiles(tree)[0]!, [], null, null, 90]),
  },
  { what: "an account's log", kinds: ['log-entry'], plant: ({ account }) => flip(entries(newest(account)).at(-1)!) },
  {
    what: "an account's log removed",
    kinds: ['log-missing'],
    plant: ({ account }) => rmSync(`${account}/log`, { recursive: true }),
  },
  { what: 'a line of the cache', kinds: ['cache-damaged'], plant: (tree) => flip(summaries(tree), 80) },
  {
    what: 'a cache cut off',
    kinds: ['cache-damaged'],
    plant: (tree) => truncateSync(summaries(tree), readFileSync(summaries(tree)).length - 5),
  },
  {
    what: 'a cache that tells of another message',
    kinds: ['cache-wrong'],
    plant: (tree) => {
      const [line] = readFileSync(summaries(tree), 'latin1').split('\n')
      const text = line!.slice(8).replace('Subject: ', 'Subject: never ').concat('\n')
      const crc = crc32(Buffer.from(text, 'latin1')).toString(16).padStart(8, '0')
      writeFileSync(summaries(tree), `${crc}${text}`, { encoding: 'latin1', mode: 0o600 })
    },
  },
  { what: 'the order keys of a message', kinds: ['cache-damaged'], plant: (tree) => flip(orderKeys(tree), 100) },
  {
    what: 'order keys cut off',
    kinds: ['cache-damaged'],
    plant: (tree) => truncateSync(orderKeys(tree), readFileSync(orderKeys(tree)).length - 5),
  },
  {
    what: 'order keys of another message',
    kinds: ['cache-wrong'],
    plant: (tree) => {
      const octets = readFileSync(orderKeys(tree))
      const entry = octets.subarray(0, octets.readUInt32LE(4))
      entry[entry.length - 1]! ^= 1
      entry.writeUInt32LE(crc32(entry.subarray(4)))
      writeFileSync(orderKeys(tree), entry, { mode: 0o600 })
    },
  },
  { what: 'a text of the cache', kinds: ['cache-damaged'], plant: (tree) => flip(texts(tree), 80) },
  {
    what: 'a text that is not that of the message',
    kinds: ['cache-wrong'],
    plant: (tree) => {
      const entry = readFileSync(texts(tree)).subarray(0, readFileSync(texts(tree)).readUInt32LE(4))
      entry.write('NEVER', entry.indexOf('SUBJECT'))
      entry.writeUInt32LE(crc32(entry.subarray(4)), 0)
      writeFileSync(texts(tree), entry, { mode: 0o600 })
    },
  },
  {
    what: 'a line of the usage',
    kinds: ['cache-damaged'],
    plant: ({ account }) => flip(`${account}/cache/usage`, 60),
  },
  {
    what: 'a usage that counts one message too many',
    kinds: ['cache-wrong'],
    plant: ({ account }) => {
      const lines = readFileSync(`${account}/cache/usage`, 'utf8').split('\n')
      const made = lines.map((line) => {
        const text = line.slice(8).replace('"messages":6', '"messages":7')
        return line === '' ? '' : `${crc32(Buffer.from(text)).toString(16).padStart(8, '0')}${text}`
      })
      expect(made).not.toEqual(lines)
      writeFileSync(`${account}/cache/usage`, made.join('\n'), { mode: 0o600 })
    },
  },
  { what: 'a message that all may read', kinds: ['mode'], plant: (tree) => chmodSync(aMessage(tree), 0o644) },
  { what: 'a mailbox that all may enter', kinds: ['mode'], plant: ({ inbox }) => chmodSync(inbox, 0o755) },
  { what: 'an account that nobody may write', kinds: ['mode'], plant: ({ account }) => chmodSync(account, 0o500) },
  {
    what: 'an entry that its group may read',
    kinds: ['mode'],
    plant: ({ inbox }) => chmodSync(entries(newest(inbox)).at(-1)!, 0o640),
  },
  { what: 'a file left in tmp', kinds: ['left-over'], plant: ({ inbox }) => write(`${inbox}/tmp/abc123`) },
  {
    what: 'a log left in tmp',
    kinds: ['left-over'],
    plant: ({ account }) => cpSync(`${account}/log`, `${account}/tmp/abc124`, { recursive: true }),
  },
  {
    what: 'an epoch that was not finished',
    kinds: ['left-over'],
    plant: ({ inbox }) => mkdirSync(`${newest(inbox)}/abc125`),
  },
  {
    what: 'a message that was never committed',
    kinds: ['left-over'],
    plant: (tree) => cpSync(aMessage(tree), aMessage(tree).replace(/,[a-z0-9]+,([^,]*)$/, ',zzz,$1')),
  },
  {
    what: 'an account half removed',
    kinds: ['account-gone'],
    plant: ({ root, account }) => cpSync(account, `${root}/.gone-abc126`, { recursive: true }),
  },
  {
    what: "a directory that is no user's",
    kinds: ['account-name'],
    plant: ({ root }) => mkdirSync(`${root}/Old Mail`),
  },
]
