/**
 * Dovecot's own stores, each driven by one of its imap processes on a pipe: no network, no login, no other process between. Flags and
 * expunges are not synced by any of them (mail_fsync=optimized, the default).
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Cost, MeasuredStore } from './mailbox-steps.ts'

export const formats = ['maildir', 'sdbox', 'mdbox'] as const
export type Format = (typeof formats)[number]

/** Mail belongs to a user of its own: Dovecot refuses to work as root. */
const mailUid = 5500
const program = '/usr/lib/dovecot/imap'

export class DovecotStore implements MeasuredStore {
  readonly name: string
  private readonly directory: string
  private readonly config: string
  private imap: ImapProcess | undefined
  private mailbox = 'source'

  /** A new store below `directory`, which exists and which everybody may enter. */
  constructor(format: Format, directory: string) {
    this.name = `Dovecot ${format}`
    this.directory = join(directory, format)
    this.config = join(directory, `${format}.conf`)
    mkdirSync(this.directory)
    chownSync(this.directory, mailUid, mailUid)
    const lines = [
      `base_dir = ${this.directory}`,
      'ssl = no',
      'protocols =',
      'first_valid_uid = 1',
      'mail_log_prefix = "%s: "',
      'log_path = /dev/null',
      `mail_home = ${this.directory}`,
      `mail_location = ${format}:${this.directory}/mail`,
    ]
    writeFileSync(this.config, `${lines.join('\n')}\n`)
  }

  /** Fills the mailbox with these messages, then doubles it by its own copies until it has `count`. */
  async fill(messages: readonly Buffer[], count: number): Promise<void> {
    // Filled without syncs, or the messages would take minutes.
    const imap = await ImapProcess.start(this.config, this.directory, ['-o', 'mail_fsync=never'])
    await imap.run('CREATE source')
    for (let at = 0; at < messages.length; at += 1) {
      const octets = messages[at]!
      await imap.run(`APPEND source {${octets.length}+}\r\n${octets.toString('latin1')}`)
    }
    await imap.run('SELECT source')
    for (let has = messages.length; has < count; has = Math.min(count, 2 * has))
      await imap.run(`COPY 1:${Math.min(has, count - has)} source`)
    await imap.end()
    await this.fresh()
  }

  async fresh(): Promise<void> {
    await this.imap?.end()
    this.imap = await ImapProcess.start(this.config, this.directory)
    this.mailbox = 'source'
  }

  open(): Promise<Cost> {
    return this.process.run(`SELECT ${this.mailbox}`)
  }

  async flagAll(mode: 'add' | 'remove', flag: string): Promise<Cost> {
    return await this.process.run(`STORE 1:* ${mode === 'add' ? '+' : '-'}FLAGS.SILENT (${flag})`)
  }

  async copyAll(target: string): Promise<Cost> {
    await this.process.run(`CREATE ${target}`)
    return await this.process.run(`COPY 1:* ${target}`)
  }

  async expungeHalf(mailbox: string): Promise<Cost> {
    const imap = this.process
    const lines = await imap.lines(`SELECT ${mailbox}`)
    const count = Number(/\* ([0-9]+) EXISTS/.exec(lines)![1])
    // Every second one, in commands that are not too long.
    for (let at = 1; at <= count; at += 10_000) {
      const numbers: number[] = []
      for (let number = at; number <= Math.min(count, at + 9999); number += 2) numbers.push(number)
      await imap.run(`STORE ${numbers.join(',')} +FLAGS.SILENT (\\Deleted)`)
    }
    const cost = await imap.run('EXPUNGE')
    await imap.run('SELECT source')
    return cost
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.imap?.end()
  }

  private get process(): ImapProcess {
    if (this.imap === undefined) throw new Error('not started')
    return this.imap
  }
}

class ImapProcess {
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  private text = ''
  private untagged: string[] = []
  private counter = 0
  private answered: (() => void) | undefined
  private complaint = ''

  private constructor(config: string, home: string, options: readonly string[]) {
    this.child = spawn(program, ['-c', config, ...options], {
      uid: mailUid,
      gid: mailUid,
      env: { USER: 'bench', HOME: home, PATH: process.env.PATH },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stdout.setEncoding('latin1').on('data', (piece: string) => this.take(piece))
    this.child.stderr.on('data', (piece: Buffer) => {
      this.complaint += piece.toString()
    })
    this.child.on('exit', () => this.answered?.())
  }

  static async start(config: string, home: string, options: readonly string[] = []): Promise<ImapProcess> {
    const imap = new ImapProcess(config, home, options)
    await imap.run('NOOP')
    return imap
  }

  async run(command: string): Promise<Cost> {
    const before = this.cpuMs()
    const start = performance.now()
    await this.lines(command)
    return { wallMs: performance.now() - start, cpuMs: this.cpuMs() - before }
  }

  /** The untagged lines before the answer. Throws unless it is OK. */
  async lines(command: string): Promise<string> {
    this.counter += 1
    this.untagged = []
    const answer = new Promise<void>((resolve) => {
      this.answered = resolve
    })
    this.child.stdin.write(`t${this.counter} ${command}\r\n`, 'latin1')
    await answer
    const last = this.untagged.at(-1) ?? ''
    if (!last.startsWith(`t${this.counter} OK`))
      throw new Error(`${command.slice(0, 40)}: ${last || this.complaint || 'the imap process ended'}`)
    return this.untagged.join('\n')
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null) return
    await this.run('LOGOUT').catch(() => {})
  }

  private take(piece: string): void {
    const lines = (this.text + piece).split('\r\n')
    this.text = lines.pop()!
    this.untagged.push(...lines)
    if (lines.some((line) => line.startsWith(`t${this.counter} `))) this.answered?.()
  }

  /** Time on a processor, of all threads, to the nanosecond. */
  private cpuMs(): number {
    const tasks = `/proc/${this.child.pid}/task`
    try {
      let nanoseconds = 0
      for (const task of readdirSync(tasks))
        nanoseconds += Number(readFileSync(`${tasks}/${task}/schedstat`, 'latin1').split(' ')[0])
      return nanoseconds / 1e6
    } catch {
      return 0
    }
  }
}

/** Throws, saying what to install, when the peer is not there. */
export function needDovecot(): string {
  try {
    return execFileSync('dovecot', ['--version'], { encoding: 'utf8', env: { PATH: `${process.env.PATH}:/usr/sbin` } })
      .trim()
      .split(' ')[0]!
  } catch {
    throw new Error('Dovecot is needed: apt-get install dovecot-imapd dovecot-lmtpd')
  }
}
