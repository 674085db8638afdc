import { createHash } from 'node:crypto'
import { StoreError } from '../base/errors.ts'
import type { OpenFile } from './fs.ts'
import type { Mailbox, MessageRecord } from './types.ts'

const pieceOctets = 512 * 1024

/** SHA-256 of a file's octets, base64url: what the name of a message file ends with. */
export async function digestOf(file: OpenFile): Promise<string> {
  const digest = createHash('sha256')
  for (let at = 0; at < file.sizeOctets; at += pieceOctets) digest.update(await file.read(at, pieceOctets))
  return digest.digest('base64url')
}

/** The same of a message as it can be read now, whatever the name of its file says; why it can't be. */
export async function digestReadAgain(mailbox: Mailbox, record: MessageRecord): Promise<string | StoreError> {
  try {
    await using content = await mailbox.content(record)
    const digest = createHash('sha256')
    for await (const chunk of content.stream()) digest.update(chunk)
    return digest.digest('base64url')
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
}
