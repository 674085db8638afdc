import { createHash } from 'node:crypto'
import type { OpenFile } from './fs.ts'

const pieceOctets = 512 * 1024

/** SHA-256 of a file's octets, base64url: what the name of a message file ends with. */
export async function digestOf(file: OpenFile): Promise<string> {
  const digest = createHash('sha256')
  for (let at = 0; at < file.sizeOctets; at += pieceOctets) digest.update(await file.read(at, pieceOctets))
  return digest.digest('base64url')
}
