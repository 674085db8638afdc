import { StoreError } from '../base/errors.ts'
import type { Uid } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { codeOf } from './fs.ts'
import type { OpenMailbox } from './mailbox.ts'
import { messageFileName } from './message-file.ts'
import type { StoredMessage } from './record.ts'
import type { CopyResult } from './types.ts'
import { uniqueName } from './unique.ts'

/** Reasons why the file system can't give a file a second name: other partition, too many names, not offered at all. */
const unlinkable: readonly (string | undefined)[] = ['EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP']

/**
 * Gives the message files new names in the target and commits them there. `directory`: the source's. Files that are named but don't get
 * committed are swept later, since a commit that seems to have failed may have been made.
 */
export async function copyMessages(
  context: StoreContext,
  directory: string,
  messages: readonly StoredMessage[],
  target: OpenMailbox,
): Promise<CopyResult> {
  if (messages.length === 0) return { uidValidity: target.uidValidity, pairs: [] }
  const folder = `${target.directory}/msg`
  const copies = messages.map((message) => ({
    source: message,
    file: messageFileName({
      internalDate: message.internalDate,
      sizeOctets: message.sizeOctets,
      digest: message.digest,
      origin: undefined,
      unique: uniqueName(),
    }),
  }))
  const linked = await Promise.allSettled(
    copies.map(({ source, file }) =>
      context.slots.run(() => copyFile(context, `${directory}/msg/${source.file}`, `${folder}/${file}`)),
    ),
  )
  const failed = linked.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await Promise.allSettled(copies.map(({ file }) => context.fs.remove(`${folder}/${file}`)))
    if (codeOf(failed.reason) === 'ENOENT')
      throw new StoreError('expunged', 'A message to be copied is gone', { cause: failed.reason })
    throw failed.reason
  }
  return await target.commit({
    folder,
    plan: () =>
      target.planAdditions(
        copies.map(({ source, file }) => ({
          file,
          flags: target.canonicalFlags(source.flags),
          origin: undefined,
          uidl: undefined,
          uid: undefined,
        })),
      ),
    done: (outcomes) => ({
      uidValidity: target.uidValidity,
      pairs: copies.flatMap(({ source }, index): (readonly [Uid, Uid])[] => {
        const delivered = outcomes[index]?.delivered
        return delivered !== undefined && 'uid' in delivered ? [[source.uid, delivered.uid]] : []
      }),
    }),
  })
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
