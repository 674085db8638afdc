/** The passphrase of a service key, in a file of its own beside the configuration: `servpass/<service>`, readable by the user of the services alone. */
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** It can't be used; says what to do. Never with the passphrase. */
export class KeyFileFault extends Error {
  override readonly name = 'KeyFileFault'
}

export interface KeyFile {
  readonly passphrase: string
  /** Of the verifier that `spassmgt get` prints. */
  readonly salt: Buffer
}

export const isServiceName = (name: string): boolean => /^[A-Za-z0-9][\w.-]{0,63}$/.test(name)

/** `configFile`: an absolute path. */
export const keyFileOf = (configFile: string, service: string): string => join(dirname(configFile), 'servpass', service)

/** Throws KeyFileFault. */
export const readKeyFile = async (path: string): Promise<KeyFile> => {
  let text: string
  try {
    const { mode, uid } = await stat(path)
    if ((mode & 0o077) !== 0)
      throw new KeyFileFault(`others may read ${path}: chmod 600 it, and think of a new passphrase`)
    const own = process.geteuid?.() ?? 0
    if (own !== 0 && uid !== own && uid !== 0)
      throw new KeyFileFault(
        `${path} belongs to another user, who knows the passphrase; make it anew with spassmgt set`,
      )
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof KeyFileFault) throw error
    const { code } = error as NodeJS.ErrnoException
    const advice =
      code === 'ENOENT'
        ? 'make it with spassmgt set'
        : 'name the user of the services (ms_user) when you make it: spassmgt set SERVICE USER'
    throw new KeyFileFault(`the service key ${path} can't be read (${code}); ${advice}`, { cause: error })
  }
  const [passphrase, salt] = text.split('\n')
  if (!passphrase || salt === undefined || !/^[\w-]{22}$/.test(salt))
    throw new KeyFileFault(`${path} is no service key; make it anew with spassmgt set`)
  return { passphrase, salt: Buffer.from(salt, 'base64url') }
}

/** Replaces it in one step. Throws what the system says. */
export const writeKeyFile = async (
  path: string,
  { passphrase, salt }: KeyFile,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> => {
  // Whoever runs a service has to get through; the files below are not for everybody.
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  const fresh = `${path}.new`
  await rm(fresh, { force: true })
  const file = await open(fresh, 'wx', 0o600)
  try {
    if (owner !== undefined) await file.chown(owner.uid, owner.gid)
    await file.writeFile(`${passphrase}\n${salt.toString('base64url')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}
