/** spassmgt: the passphrase of a service key, cli.md §5. */
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { defaultConfigFile } from '../../config/ms-conf.ts'
import { isServiceName, KeyFileFault, keyFileOf, readKeyFile, writeKeyFile } from '../../config/servpass/key-file.ts'
import { keyOf, newSalt, verifierOf } from '../../config/servpass/seal.ts'
import { findUser } from '../../server/ms-user.ts'
import { readLines, withoutEcho } from '../msadm/input.ts'

export const usage = `spassmgt: the key with which passwords in ms.conf are encrypted

  spassmgt set SERVICE [USER] [-c FILE]   asks for a passphrase, twice, and keeps it for the services
  spassmgt get SERVICE [-c FILE]          prints the verifier for <servpass:info> in ms.conf

  SERVICE   isode.mbox
  USER      whom the services run as (ms_user); without it the key is yours
  -c FILE   configuration file that the key belongs to (default ${defaultConfigFile}); the key is in servpass/ beside it

The passphrase has capital and small letters and digits, and at least 10 characters. It is read from standard input when
that is no terminal: two lines. Who forgets it encrypts the passwords again.

Examples
  spassmgt set isode.mbox mbox            spassmgt get isode.mbox

Exit status: 0 done, 1 it could not be done, 64 wrong arguments
`

export interface Streams {
  readonly in: Readable & { readonly isTTY?: boolean }
  readonly out: { write(text: string): unknown }
  readonly err: { write(text: string): unknown }
}

/** Answers the exit status. */
export const spassmgt = async (argv: readonly string[], streams: Streams): Promise<number> => {
  const wrong = (message: string) => {
    streams.err.write(`spassmgt: ${message}\nspassmgt --help shows what there is\n`)
    return 64
  }
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    return wrong((error as Error).message)
  }
  const { values, positionals } = parsed
  if (values.help) {
    streams.out.write(usage)
    return 0
  }
  const [command, service, user, more] = positionals
  if (service === undefined || more !== undefined || (command === 'get' && user !== undefined))
    return wrong('expected set SERVICE [USER] or get SERVICE')
  if (!isServiceName(service)) return wrong(`${JSON.stringify(service.slice(0, 70))} is not the name of a service`)
  const path = keyFileOf(resolve(values.c ?? defaultConfigFile), service)
  try {
    if (command === 'set') return await set(path, user, streams)
    if (command === 'get') return await get(path, streams)
  } catch (error) {
    if (!(error instanceof KeyFileFault || (error instanceof Error && 'syscall' in error))) throw error
    streams.err.write(`spassmgt: ${error.message}\n`)
    return 1
  }
  return wrong(`${JSON.stringify(command)} is neither set nor get`)
}

const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    strict: true,
    allowPositionals: true,
    options: { c: { type: 'string', short: 'c' }, help: { type: 'boolean', short: 'h' } },
  })

const set = async (path: string, userName: string | undefined, streams: Streams): Promise<number> => {
  const failed = (message: string) => {
    streams.err.write(`spassmgt: ${message}\n`)
    return 1
  }
  const user = userName === undefined ? undefined : findUser(userName)
  if (userName !== undefined && user === undefined) return failed(`there is no user ${userName} on this system`)
  const lines = readLines(streams.in)
  const ask = async (prompt: string) => {
    streams.err.write(prompt)
    const line = (await lines.next())?.toString()
    if (streams.in.isTTY) streams.err.write('\n')
    return line
  }
  const [passphrase, again] = await withoutEcho(streams.in, async () => [
    await ask('Passphrase: '),
    await ask('Re-enter: '),
  ])
  if (!streams.in.isTTY) streams.err.write('\n')
  if (passphrase === undefined || passphrase !== again) return failed('the two are not the same; nothing was changed')
  const fault = weakness(passphrase)
  if (fault !== undefined) return failed(`the passphrase ${fault}; nothing was changed`)
  await writeKeyFile(path, { passphrase, salt: newSalt() }, user)
  return 0
}

/** What an acceptable one lacks. */
const weakness = (passphrase: string): string | undefined => {
  if (!/[A-Z]/.test(passphrase) || !/[a-z]/.test(passphrase) || !/[0-9]/.test(passphrase))
    return 'needs capital letters, small letters and digits'
  if (passphrase.length < 10) return 'is shorter than 10 characters'
  return passphrase.length > 1000 ? 'is longer than 1000 characters' : undefined
}

const get = async (path: string, streams: Streams): Promise<number> => {
  const { passphrase, salt } = await readKeyFile(path)
  streams.out.write(`${verifierOf(await keyOf(passphrase, salt), salt)}\n`)
  return 0
}
