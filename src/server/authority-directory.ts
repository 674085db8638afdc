/**
 * tls_ca_path: authorities that are looked for while a certificate is being verified, so that one that is put there, or taken away, counts from the next
 * handshake on. TLS-04
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { OptionFault } from '../config/certificate-files.ts'

export interface AuthorityDirectory {
  /** What the files hold; undefined: the same as the last time. A directory that can't be read holds nothing. */
  changed(): Promise<readonly Buffer[] | undefined>
  /** Throws OptionFault when it can't be read. */
  check(): Promise<void>
}

const isAuthority = (name: string) => /\.(pem|crt|\d+)$/.test(name)

export const authorityDirectory = (path: string): AuthorityDirectory => {
  let seen: string | undefined
  const states = async (): Promise<ReadonlyMap<string, string>> => {
    const names = (await readdir(path)).filter(isAuthority).sort()
    const found = await Promise.all(
      names.map(async (name) => {
        const { mtimeMs, size, ino } = await stat(join(path, name))
        return [name, `${mtimeMs} ${size} ${ino}`] as const
      }),
    )
    return new Map(found)
  }
  return {
    changed: async () => {
      try {
        const found = await states()
        const state = JSON.stringify([...found])
        if (state === seen) return undefined
        const octets = await Promise.all([...found.keys()].map((name) => readFile(join(path, name))))
        seen = state
        return octets
      } catch {
        // Also where a file went away meanwhile: the next handshake looks again. Nobody is believed on doubt.
        seen = undefined
        return []
      }
    },
    check: async () => {
      try {
        await states()
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        throw new OptionFault('tls_ca_path', `${path} can't be read: ${code}`, { cause: error })
      }
    },
  }
}
