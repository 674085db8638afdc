/** Message files against what a mailbox knows, after log entries were lost. */

import type { Uid } from '../base/ids.ts'
import { inTurns } from './breath.ts'
import type { ExpungedMessages } from './expunged.ts'
import { type StoreFs, unlessAbsent } from './fs.ts'
import { announcedUnique, originHash, parseMessageFileName } from './message-file.ts'
import type { StoredMessages } from './message-list.ts'
import { OriginMap } from './origin-map.ts'
import type { Origins } from './origins.ts'
import type { StoredMessage } from './record.ts'

/** A file that no message has. */
export interface FoundFile {
  readonly file: string
  /** Where its name doesn't carry it. */
  readonly longOrigin: string | undefined
}

/** The UIDs of messages whose file is neither among the names that were listed nor there; of an announced message there is none. */
export async function missingUids(
  messages: Iterable<StoredMessage>,
  listed: ReadonlySet<string>,
  fs: StoreFs,
  folder: string,
): Promise<Uid[]> {
  const missing: Uid[] = []
  for await (const { uid, file, isHere } of inTurns(messages))
    if (!isHere) missing.push(uid)
    else if (!listed.has(file) && (await unlessAbsent(fs.status(`${folder}/${file}`))) === undefined) missing.push(uid)
  return missing
}

/**
 * The files among those listed that no message has, except those `removed` and those of an origin that a message has; by name. That
 * their origin left once is no proof that they did.
 */
export async function* unknownFiles(
  listed: ReadonlySet<string>,
  known: { readonly messages: StoredMessages; readonly expunged: ExpungedMessages },
  origins: Origins,
  removed: ReadonlySet<string>,
  fs: StoreFs,
  folder: string,
): AsyncIterable<FoundFile> {
  const unknown = new Set(listed)
  const hashes = new Set<string | undefined>()
  for await (const { file } of inTurns(known.messages)) {
    unknown.delete(file)
    hashes.add(parseMessageFileName(file)?.originHash)
  }
  for await (const { message } of inTurns(known.expunged)) unknown.delete(message.file)
  const departed = new OriginMap<string>()
  for await (const [origin] of inTurns(origins.departed)) departed.set(originHash(origin), origin)
  for await (const file of inTurns([...unknown].sort())) {
    const named = parseMessageFileName(file)
    if (named === undefined || named.unique === announcedUnique || removed.has(file)) continue
    if (named.origin !== undefined && origins.uidOf(named.origin) !== undefined) continue
    if (named.originHash !== undefined && hashes.has(named.originHash)) continue
    // A file of another size was being written when its writer died.
    if ((await unlessAbsent(fs.status(`${folder}/${file}`)))?.sizeOctets !== named.sizeOctets) continue
    hashes.add(named.originHash)
    yield { file, longOrigin: named.origin === undefined ? departed.get(named.originHash ?? '') : undefined }
  }
}
