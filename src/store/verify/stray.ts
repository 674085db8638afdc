import type { FileStatus } from '../fs.ts'
import type { FindingKind } from './finding.ts'
import { quarantine } from './quarantine.ts'
import type { Place, Run } from './run.ts'

/** Something that nobody of the store puts there. */
export async function checkStray(run: Run, place: Place, path: string, status: FileStatus): Promise<void> {
  const { userId, mailbox, top } = place
  const kinds: Partial<Record<FileStatus['kind'], FindingKind>> = { file: 'stray-file', directory: 'stray-directory' }
  const kind = kinds[status.kind] ?? 'special-file'
  const detail = status.kind === 'file' ? `${status.sizeOctets} octets` : `a ${status.kind}`
  await run.found({ kind, path, userId, mailbox, detail }, async () => {
    await quarantine(run.fs, top, path)
  })
}
