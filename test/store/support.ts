import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { nodeFs, type StoreFs } from '#src/store/fs.ts'
import type { StoreOptions } from '#src/store/store.ts'
import { storeIn, user } from './actions.ts'

export * from './actions.ts'

/** A directory that goes with the test. */
export function freshRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'wherry-store-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  return root
}

/** A store of its own with one account and its open INBOX. */
export async function freshInbox(options: Partial<StoreOptions> = {}) {
  const root = freshRoot()
  const store = storeIn(root, options)
  onTestFinished(() => store.close())
  const account = store.account(user)
  await account.ensure()
  return { root, store, account, inbox: await account.open('INBOX') }
}

/** The machine's files; `note` is told of each that is opened, or read in part. */
export const tellingReads = (note: (path: string) => void): StoreFs => ({
  ...nodeFs,
  open: (path) => {
    note(path)
    return nodeFs.open(path)
  },
  readPart: (path, start, length) => {
    note(path)
    return nodeFs.readPart(path, start, length)
  },
})
