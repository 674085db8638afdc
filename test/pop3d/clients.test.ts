/** Real clients get from pop3d what is in the store. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { password, type Served, serve, user } from './support/served.ts'

const run = promisify(execFile)
const latin1 = (text: string) => Buffer.from(text, 'latin1')
const header = (name: string) =>
  `From: Ann <ann@example.org>\r\nTo: joe@example.org\r\nSubject: ${name}\r\nDate: Sun, 22 Nov 2026 03:00:00 +0000\r\nMessage-ID: <${name}@example.org>\r\n\r\n`

/** What is hard to carry in lines that end with a dot. */
const own: readonly Buffer[] = [
  latin1(`${header('plain')}One line.\r\n`),
  latin1(`${header('dots')}.\r\n..\r\n...\r\n.a\r\n a.\r\n.\r\n`),
  latin1(`${header('only-dots')}${'.\r\n'.repeat(5000)}`),
  latin1(`${header('no-final-crlf')}The last line has no end`),
  latin1(`${header('final-dot')}no end, and a dot\r\n.`),
  latin1(`${header('empty-body')}`),
  latin1(`${header('8-bit')}\xe4\xf6\xfc \x80\xff\r\n`),
  latin1(`${header('long-line')}${'x'.repeat(100_000)}\r\n.${'y'.repeat(70_000)}\r\n`),
  latin1(
    `${`${header('chunk-border')}${'z'.repeat(78)}\r\n`.padEnd(65_534, `${'z'.repeat(78)}\r\n`)}\r\n.behind the first chunk\r\n`,
  ),
  latin1(`${header('blank-lines')}\r\n\r\n\r\n`),
]
const corpus = resolve(import.meta.dirname, '../../../shared/corpus')
const crlf = (octets: Buffer) => latin1(octets.toString('latin1').replace(/\r?\n/g, '\r\n'))
const found = globSync('spamassassin-easy-ham-1/*.eml', { cwd: corpus }).sort().slice(0, 60)
if (!existsSync(corpus)) console.log('the corpus is absent: only messages of the test itself are used')
const messages = [...own, ...found.map((name) => crlf(readFileSync(join(corpus, name))))]

/** As a client stores it that keeps lines: LF for CRLF, the last line ended. */
const asLines = (octets: Buffer): string => {
  const text = octets.toString('latin1').replaceAll('\r\n', '\n')
  return text.endsWith('\n') ? text : `${text}\n`
}
const digest = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex')
const digests = (texts: readonly string[]) => texts.map(digest).sort()
const expected = digests(messages.map(asLines))

const filled = async (): Promise<Served> => {
  const served = await serve()
  await served.deliver(...messages)
  return served
}
const maildir = async (served: Served): Promise<string> => {
  const directory = join(served.directory, 'maildir')
  for (const name of ['cur', 'new', 'tmp']) await mkdir(join(directory, name), { recursive: true })
  return directory
}
const filesIn = async (directory: string): Promise<readonly string[]> =>
  Promise.all((await readdir(directory)).map((name) => readFile(join(directory, name), 'latin1')))
/** A command that puts what it is given into a file of its own in `out`. */
const mdaInto = async (served: Served): Promise<{ readonly out: string; readonly mda: string }> => {
  const out = join(served.directory, 'out')
  const mda = join(served.directory, 'mda')
  await mkdir(out)
  await writeFile(mda, `#!/bin/sh\nexec cat > "${out}/$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')"\n`, { mode: 0o700 })
  return { out, mda }
}
const secretFile = async (served: Served, name: string, text: string): Promise<string> => {
  const file = join(served.directory, name)
  await writeFile(file, text, { mode: 0o600 })
  return file
}

describe('real POP3 clients', () => {
  it('curl gets every octet, lists and TOP', async () => {
    const served = await filled()
    const curl = async (path: string, ...more: string[]) => {
      const args = ['-sS', '--user', `${user}:${password}`, ...more, `pop3://127.0.0.1:${served.port}/${path}`]
      const { stdout } = await run('curl', args, { encoding: 'latin1', maxBuffer: 1 << 26 })
      return stdout
    }
    for (const [index, octets] of own.entries()) {
      const text = octets.toString('latin1')
      expect(await curl(String(index + 1))).toBe(text.endsWith('\r\n') ? text : `${text}\r\n`)
    }
    const list = await curl('')
    expect(list.trimEnd().split('\r\n')).toEqual(messages.map((octets, index) => `${index + 1} ${octets.length}`))
    expect((await curl('', '-X', 'UIDL')).trimEnd().split('\r\n')).toHaveLength(messages.length)
    const [header, body] = own[1]!.toString('latin1').split('\r\n\r\n', 2) as [string, string]
    expect(await curl('', '-X', 'TOP 2 1')).toBe(`${header}\r\n\r\n${body.split('\r\n')[0]}\r\n`)
  })

  it('mpop gets the same, twice nothing new, and deletes (RFC 1939 §7 UIDL)', async () => {
    const served = await filled()
    const directory = await maildir(served)
    const conf = (keep: 'on' | 'off') =>
      `account default\nhost 127.0.0.1\nport ${served.port}\ntls off\nauth user\nuser ${user}\npassword ${password}\nkeep ${keep}\n` +
      `received_header off\ndelivery maildir ${directory}\nuidls_file ${join(served.directory, 'uidls')}\n`
    const file = await secretFile(served, 'mpoprc', conf('on'))
    await run('mpop', ['-C', file, '-q'])
    expect(digests(await filesIn(join(directory, 'new')))).toEqual(expected)
    await run('mpop', ['-C', file, '-q'])
    expect(await filesIn(join(directory, 'new'))).toHaveLength(messages.length)
    await writeFile(file, conf('off'))
    await run('mpop', ['-C', file, '-q'])
    expect(await served.stored()).toEqual([])
  })

  it('getmail gets the same, by UIDL', async () => {
    const served = await filled()
    const { out, mda } = await mdaInto(served)
    await writeFile(
      join(served.directory, 'getmailrc'),
      `[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = ${served.port}\nusername = ${user}\npassword = ${password}\n` +
        `[destination]\ntype = MDA_external\npath = ${mda}\nallow_root_commands = true\n` +
        '[options]\ndelivered_to = false\nreceived = false\nread_all = false\ndelete = false\nverbose = 0\n',
      { mode: 0o600 },
    )
    const getmail = () => run('getmail', ['--getmaildir', served.directory, '--rcfile', 'getmailrc'])
    await getmail()
    // getmail writes the header anew, and drops empty lines at the end.
    const bodies = (texts: readonly string[]) =>
      digests(texts.map((text) => `${text.slice(text.indexOf('\n\n')).replace(/\n+$/, '')}\n`))
    expect(bodies(await filesIn(out))).toEqual(bodies(messages.map(asLines)))
    await getmail()
    expect(await filesIn(out)).toHaveLength(messages.length)
  })

  it('fetchmail gets the same, keeps by UIDL, and deletes', async () => {
    const served = await filled()
    const out = join(served.directory, 'out')
    await mkdir(out)
    const mda = join(served.directory, 'mda')
    await writeFile(mda, `#!/bin/sh\nexec cat > "${out}/$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')"\n`, {
      mode: 0o700,
    })
    const conf = (keep: string) =>
      `poll 127.0.0.1 protocol pop3 uidl port ${served.port} timeout 30 auth password\n` +
      `  user "${user}" password "${password}" is root here ${keep} no rewrite no mimedecode no dropdelivered mda "${mda}" sslproto ''\n`
    const file = await secretFile(served, 'fetchmailrc', `set invisible\n${conf('keep')}`)
    const fetchmail = () =>
      run(
        'fetchmail',
        [
          '-f',
          file,
          '--silent',
          '--nosyslog',
          '--pidfile',
          join(served.directory, 'pid'),
          '-i',
          join(served.directory, 'ids'),
        ],
        {
          env: { ...process.env, FETCHMAILHOME: served.directory, FETCHMAILUSER: 'root' },
        },
      )
    await fetchmail()
    const received = () => filesIn(out)
    // fetchmail itself breaks lines of 8,192 octets and more.
    const short = (text: string) => !/[^\n]{8191}/.test(text)
    expect(digests((await received()).filter(short))).toEqual(digests(messages.map(asLines).filter(short)))
    expect(await received()).toHaveLength(messages.length)
    await expect(fetchmail()).rejects.toMatchObject({ code: 1 })
    expect(await received()).toHaveLength(messages.length)
    await writeFile(file, `set invisible\n${conf('fetchall nokeep')}`)
    await fetchmail()
    expect(await served.stored()).toEqual([])
  })
})
