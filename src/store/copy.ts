import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import { inTurns } from './breath.ts'
import type { StoreContext } from './context.ts'
import { originOfCopy } from './copy-origin.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import type { OpenMailbox } from './mailbox.ts'
import { checkOrigin, messageFileName, stillAway } from './message-file.ts'
import type { StoredMessage } from './record.ts'
import { severalAtOnce } from './several.ts'
import type { CopyOptions, CopyResult, Flag } from './types.ts'
import { sortedUids } from './uid-set.ts'
import { uniqueName } from './unique.ts'

/** Reasons why the file system can't give a file a second name: other partition, too many names, not offered at all. */
export const unlinkable: readonly (string | undefined)[] = ['EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP']

/**
 * Gives the files of those that are there new names in the target and commits them there, as copies of what the source has. Files that are named but don't get
 * committed are swept later, since a commit that seems to have failed may have been made.
 */
export async function copyMessages(
  context: StoreContext,
  source: OpenMailbox,
  uids: readonly Uid[],
  target: OpenMailbox,
  { origins: given = new Map(), keepsFlag = () => true }: CopyOptions = {},
): Promise<CopyResult> {
  for (const origin of given.values()) checkOrigin(origin)
  const messages: StoredMessage[] = []
  const origins: (string | undefined)[] = []
  for await (const uid of inTurns(sortedUids(uids))) {
    const message = source.byUid(uid)
    if (message === undefined) continue
    messages.push(message)
    origins.push(given.get(uid) ?? originOfCopy(source.id, message.origin))
  }
  if (messages.length === 0) return { uidValidity: target.uidValidity, pairs: [] }
  if (messages.some(({ isHere }) => !isHere)) throw new StoreError('away', stillAway)
  const folder = `${target.directory}/msg`
  const files = await linkAll(context, source.directory, messages, target, origins)
  const flags = new Map<ReadonlySet<Flag>, readonly Flag[]>()
  for (const message of messages)
    if (!flags.has(message.flags)) flags.set(message.flags, [...message.flags].filter(keepsFlag))
  return await target.commit({
    files: { folder },
    plan: () => {
      for (const [set, kept] of flags) flags.set(set, target.canonicalFlags(kept))
      return target.plans.additions(
        messages.values().map((message, index) => ({
          file: files[index]!,
          flags: flags.get(message.flags)!,
          origin: origins[index],
          uidl: undefined,
          uid: undefined,
        })),
      )
    },
    done: (outcomes) => ({
      uidValidity: target.uidValidity,
      pairs: messages.flatMap(({ uid }, index): (readonly [Uid, Uid])[] => {
        const delivered = outcomes[index]?.delivered
        return delivered !== undefined && 'uid' in delivered ? [[uid, delivered.uid]] : []
      }),
    }),
  })
}

/**
 * Gives every message a second file, in the target, and answers their names; none is left of a failure. `directory`: the source's; `origins`:
 * in the order of the messages, where the names are to tell any. Throws StoreError expunged.
 */
export async function linkAll(
  context: StoreContext,
  directory: string,
  messages: readonly StoredMessage[],
  target: OpenMailbox,
  origins: readonly (string | undefined)[] = [],
): Promise<readonly string[]> {
  const folder = `${target.directory}/msg`
  const files: string[] = []
  try {
    await nameAll(context, directory, messages, folder, files, origins)
    return files
  } catch (error) {
    await removeAll(context, folder, files)
    if (codeOf(error) !== 'ENOENT') throw error
    if ((await unlessAbsent(context.fs.status(folder))) === undefined)
      return await target.changing(Promise.reject(error))
    throw new StoreError('expunged', 'A message to be copied is gone', { cause: error })
  }
}

/** Copies under way at once, of those that the slots let through: a mailbox's messages don't all queue up there before anybody else's. */
const copiesAtOnce = 64

/** Gives every message a second file and fills `files` with their names, in order. Throws the first failure when nothing is under way any more. */
async function nameAll(
  context: StoreContext,
  directory: string,
  messages: readonly StoredMessage[],
  folder: string,
  files: string[],
  origins: readonly (string | undefined)[],
): Promise<void> {
  await severalAtOnce(messages, copiesAtOnce, async ({ internalDate, sizeOctets, digest, file }) => {
    // Begun in order, and named before anybody else gets a turn.
    const origin = origins[files.length]
    const name = messageFileName({ internalDate, sizeOctets, digest, origin, unique: uniqueName() })
    files.push(name)
    await context.slots.run(() => copyFile(context, `${directory}/msg/${file}`, `${folder}/${name}`))
  })
}

export async function removeAll({ fs }: StoreContext, folder: string, files: readonly string[]): Promise<void> {
  for (const file of files) await fs.remove(`${folder}/${file}`).catch(() => {})
}

async function copyFile(context: StoreContext, from: string, to: string): Promise<void> {
  try {
    await context.fs.link(from, to)
  } catch (error) {
    if (!unlinkable.includes(codeOf(error))) throw error
    const source = await context.fs.open(from)
    try {
      const copy = await context.fs.create(to)
      try {
        for (let at = 0; at < source.sizeOctets; at += chunkOctets)
          await copy.write(await source.read(at, Math.min(chunkOctets, source.sizeOctets - at)))
        await copy.finish()
      } finally {
        await copy.discard()
      }
    } finally {
      await source.close()
    }
  }
}

const chunkOctets = 256 * 1024
