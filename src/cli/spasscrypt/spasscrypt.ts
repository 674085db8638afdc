/** spasscrypt: encrypts passwords in ms.conf, cli.md §5. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ConfigError } from '../../config/finding.ts'
import { encryptFile } from '../../config/servpass/encrypt-file.ts'
import { isServiceName, KeyFileFault, keyFileOf, readKeyFile } from '../../config/servpass/key-file.ts'

export const usage = `spasscrypt: encrypts passwords in ms.conf

  spasscrypt -e -s SERVICE -x FILE

  -e          encrypts every password marked servpass:encrypt='true' that is still in clear, in place
  -s SERVICE  isode.mbox; its passphrase was set by spassmgt -c FILE
  -x FILE     the configuration file

Example
  spasscrypt -e -s isode.mbox -x /etc/isode/ms.conf

with   <servpass:info service="isode.mbox" verifier="…"/>      what spassmgt get isode.mbox prints
and    <tls_key_password servpass:encrypt='true'>secret</tls_key_password>   in the file.

Exit status: 0 done, 1 it could not be done, 64 wrong arguments
`

export interface Streams {
  readonly out: { write(text: string): unknown }
  readonly err: { write(text: string): unknown }
}

/** Answers the exit status. */
export const spasscrypt = async (argv: readonly string[], streams: Streams): Promise<number> => {
  const wrong = (message: string) => {
    streams.err.write(`spasscrypt: ${message}\nspasscrypt --help shows what there is\n`)
    return 64
  }
  let values: ReturnType<typeof parse>
  try {
    values = parse(argv)
  } catch (error) {
    return wrong((error as Error).message)
  }
  if (values.help) {
    streams.out.write(usage)
    return 0
  }
  if (!values.e || values.s === undefined || values.x === undefined) return wrong('expected -e -s SERVICE -x FILE')
  if (!isServiceName(values.s)) return wrong(`${JSON.stringify(values.s.slice(0, 70))} is not the name of a service`)
  try {
    const file = resolve(values.x)
    const encrypted = await encryptFile(file, await readKeyFile(keyFileOf(file, values.s)))
    streams.out.write(
      encrypted === 0 ? 'nothing to encrypt\n' : `${encrypted} password${encrypted === 1 ? '' : 's'} encrypted\n`,
    )
    return 0
  } catch (error) {
    const isForeseen = [ConfigError, KeyFileFault].some((family) => error instanceof family)
    if (!(isForeseen || (error instanceof Error && 'syscall' in error))) throw error
    streams.err.write(`spasscrypt: ${(error as Error).message}\n`)
    return 1
  }
}

const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    strict: true,
    allowPositionals: false,
    options: {
      e: { type: 'boolean', short: 'e' },
      s: { type: 'string', short: 's' },
      x: { type: 'string', short: 'x' },
      help: { type: 'boolean', short: 'h' },
    },
  }).values
