/** Pigeonhole's `sieve-test`: what Dovecot's interpreter says of a script and a message. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What it offers besides its defaults. */
const extensions = '+spamtest +spamtestplus +virustest +editheader +vnd.dovecot.environment'

export class Pigeonhole {
  readonly #directory: string
  #count = 0

  /** The directory is fresh and empty. */
  constructor(directory: string) {
    this.#directory = directory
    // It does not run as root: as nobody then.
    chmodSync(directory, 0o777)
    mkdirSync(join(directory, 'mail'))
    chmodSync(join(directory, 'mail'), 0o777)
    const isRoot = process.getuid?.() === 0
    writeFileSync(
      join(directory, 'dovecot.conf'),
      [
        `base_dir = ${directory}/base`,
        `mail_location = maildir:${directory}/mail`,
        `mail_home = ${directory}`,
        `mail_uid = ${isRoot ? 'nobody' : process.getuid?.()}`,
        `mail_gid = ${isRoot ? 'nogroup' : process.getgid?.()}`,
        'first_valid_uid = 0',
        'first_valid_gid = 0',
        'ssl = no',
        'log_path = /dev/stderr',
        'plugin {',
        `  sieve_extensions = ${extensions}`,
        '  sieve_max_actions = 0',
        '}',
        '',
      ].join('\n'),
    )
  }

  /** The names of the mailboxes that it files the message into; undefined with what it says when it refuses the script. */
  async fileinto(
    script: string,
    message: string,
    from: string,
    to: string,
  ): Promise<readonly string[] | { readonly refused: string }> {
    const name = join(this.#directory, String(this.#count++))
    writeFileSync(`${name}.sieve`, script.replaceAll('\n', '\r\n'))
    writeFileSync(`${name}.eml`, message.replaceAll('\n', '\r\n'))
    try {
      const { stdout, stderr } = await promisify(execFile)(
        'sieve-test',
        ['-c', join(this.#directory, 'dovecot.conf'), '-f', from, '-r', to, '-a', to, `${name}.sieve`, `${name}.eml`],
        { env: { ...process.env, TZ: 'UTC' } },
      )
      if (!/final result: success/.test(stderr + stdout)) return { refused: stderr + stdout }
      return [...(stderr + stdout).matchAll(/store message in folder: (.*)$/gm)].map((match) => match[1]!.trim())
    } catch (error) {
      return { refused: error instanceof Error ? error.message : String(error) }
    }
  }
}
