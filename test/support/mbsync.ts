import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** An mbsync that keeps a Maildir below `directory` in step with an IMAP account on loopback. */
export interface Mbsync {
  /** One run; rejects with mbsync's own words when it fails. Answers what `-V` printed. */
  sync(): Promise<string>
  /** Messages of a mailbox as mbsync stored them: LF line ends, its own X-TUID line removed. */
  messages(mailbox?: string): Buffer[]
  readonly maildir: string
}

export function mbsyncFor(options: {
  port: number
  user: string
  password: string
  directory: string
  expunge?: boolean
  /** PEM file: over STARTTLS, with a certificate that it signed for localhost. */
  authority?: string
}): Mbsync {
  const maildir = join(options.directory, 'mail')
  mkdirSync(maildir, { recursive: true })
  const host = options.authority === undefined ? '127.0.0.1' : 'localhost'
  const tls = options.authority === undefined ? 'None' : `STARTTLS\nCertificateFile ${options.authority}`
  const configuration = join(options.directory, 'mbsyncrc')
  writeFileSync(
    configuration,
    `IMAPStore far\nHost ${host}\nPort ${options.port}\nUser ${options.user}\nPass ${options.password}\nSSLType ${tls}\nAuthMechs LOGIN\nTimeout 120\n\n` +
      `MaildirStore near\nPath ${maildir}/\nInbox ${maildir}/INBOX\nSubFolders Verbatim\n\n` +
      `Channel both\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync All\nExpunge ${options.expunge === true ? 'Both' : 'None'}\nSyncState *\nCopyArrivalDate yes\n`,
    { mode: 0o600 },
  )
  return {
    maildir,
    async sync() {
      const { stdout, stderr } = await run('mbsync', ['-V', '-c', configuration, '-a'], {
        timeout: 300_000,
        maxBuffer: 1 << 26,
      })
      return stdout + stderr
    },
    messages(mailbox = 'INBOX') {
      const path = join(maildir, mailbox)
      return ['new', 'cur'].flatMap((part) =>
        readdirSync(join(path, part)).map((name) => withoutTuid(readFileSync(join(path, part, name)))),
      )
    },
  }
}

/** mbsync marks each message that it copies with one header line of a fixed length. */
function withoutTuid(message: Buffer): Buffer {
  const at = message.indexOf('X-TUID: ')
  const end = message.indexOf('\n', at)
  return at < 0 || end < 0 || end - at > 24
    ? message
    : Buffer.concat([message.subarray(0, at), message.subarray(end + 1)])
}

/** Messages of a Maildir tree, by name and time: a message that was fetched again has others. */
export const filesIn = async (maildir: string): Promise<readonly string[]> => {
  const entries = await readdir(maildir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && /\/(new|cur)$/.test(entry.parentPath))
  const names = files.map(async ({ parentPath, name }) => {
    const { mtimeMs } = await stat(join(parentPath, name))
    return `${parentPath.slice(maildir.length)}/${name} ${mtimeMs}`
  })
  return (await Promise.all(names)).sort()
}
