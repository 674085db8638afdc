/** Clients with what they know of the old server, moved over: they are to fetch nothing. MIG-14 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { filesIn, mbsyncFor } from '../../support/mbsync.ts'

export interface CachedClient {
  /** Messages that it has. */
  readonly cached: number
  /** At another server: the mailboxes of the messages that it fetched, or made anew, one by one, and what it complained about. */
  movedTo(port: number): Promise<{ readonly fetched: readonly string[]; readonly complaint: string }>
}

const password = 'secret'

/**
 * mbsync with its Maildirs and states; it leaves messages out that have no end of a header, every time. Undefined when it can't cope with the names at the
 * old server; at the other, it may miss those that can't be the same there.
 */
export async function mbsyncAt(port: number, user: string, directory: string): Promise<CachedClient | undefined> {
  await mkdir(directory, { recursive: true })
  const sync = async (at: number) => {
    const { maildir, sync } = mbsyncFor({ port: at, user, password, directory })
    const complaint = await sync().then(
      () => '',
      (error: Error) => error.message,
    )
    return { files: await filesIn(maildir), complaint }
  }
  const { files: cached, complaint } = await sync(port)
  if (complaint !== '') return undefined
  return {
    cached: cached.length,
    movedTo: async (other) => {
      const { files, complaint } = await sync(other)
      const changed = [...new Set(cached).symmetricDifference(new Set(files))]
      return { fetched: changed.map((file) => file.replace(/^\/|\/(new|cur)\/[^/]*$/g, '')), complaint }
    },
  }
}

/** fetchmail, which keeps unique-ids by user and host. */
export async function fetchmailAt(port: number, user: string, directory: string): Promise<CachedClient> {
  await mkdir(directory, { recursive: true })
  const [fetched, mda, rc] = ['fetched', 'mda', 'fetchmailrc'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  await writeFile(mda, `#!/bin/sh\ncat > /dev/null\necho >> "${fetched}"\n`, { mode: 0o700 })
  const count = async () => (await readFile(fetched, 'latin1').catch(() => '')).length
  const run = async (at: number) => {
    const conf = `set invisible\npoll 127.0.0.1 protocol pop3 uidl port ${at} timeout 60 auth password\n  user "${user}" password "${password}" is root here keep no rewrite no mimedecode no dropdelivered mda "${mda}" sslproto ''\n`
    await writeFile(rc, conf, { mode: 0o600 })
    const words = [
      '-f',
      rc,
      '--silent',
      '--nosyslog',
      '--pidfile',
      join(directory, 'pid'),
      '-i',
      join(directory, 'ids'),
    ]
    const env = { ...process.env, FETCHMAILHOME: directory, FETCHMAILUSER: 'root' }
    // 1: there was no new mail.
    await promisify(execFile)('fetchmail', words, { env }).catch((error) => {
      if (error.code !== 1) throw error
    })
    return await count()
  }
  const cached = await run(port)
  return {
    cached,
    movedTo: async (other) => ({
      fetched: Array(Math.max(0, (await run(other)) - cached)).fill('INBOX'),
      complaint: '',
    }),
  }
}
