/**
 * The scripts that are run on a message: the site's, then the user's. What does not compile is logged, once for each version of it, and the message goes on
 * without. docs/decisions/0353-scripts-that-fail.md
 */
import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Log } from '../../base/log.ts'
import { compile } from '../../sieve/compile.ts'
import type { Compiled, Script } from '../../sieve/types.ts'
import { scriptsOf } from '../../store/scripts.ts'
import type { Account } from '../../store/types.ts'

const usersAtMost = 1_000
/** Of a script of the site that others include: nothing that leads elsewhere. */
const plainName = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,127}$/u

interface Version {
  readonly version: string
  readonly script: Script | undefined
}

export class ActiveScripts {
  readonly #log: Log
  /** By path, and by user id; the one that was used last is the last. */
  readonly #site = new Map<string, Version>()
  readonly #users = new Map<string, Version>()

  constructor(log: Log) {
    this.#log = log
  }

  /** global_sieve_script, as the file is now. SV-02 */
  async ofSite(path: string): Promise<Script | undefined> {
    const known = this.#site.get(path)
    let version = 'missing'
    try {
      const { mtimeMs, size, ino } = await stat(path)
      version = `${mtimeMs} ${size} ${ino}`
      if (known?.version === version) return known.script
      const compiled = compile(await readFile(path))
      const script = this.#scriptOf(compiled, { file: path, option: 'global_sieve_script' })
      this.#site.set(path, { version, script })
      return script
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error
      const reason = `${version === 'missing' ? '' : 'unreadable '}${error.code}`
      if (known?.version !== reason)
        this.#log.log('err', 'global_sieve_script can not be read, and is not run', {
          file: path,
          reason: error.message,
        })
      this.#site.set(path, { version: reason, script: undefined })
      return undefined
    }
  }

  /** Throws StoreError. */
  async ofUser(account: Account): Promise<Script | undefined> {
    const { userId } = account
    const active = await scriptsOf(account).findActive()
    const known = this.#users.get(userId)
    this.#users.delete(userId)
    if (active === undefined) return undefined
    const { name, text } = active
    const version =
      known?.version === text
        ? known
        : { version: text, script: this.#scriptOf(compile(Buffer.from(text)), { user: userId, script: name }) }
    this.#users.set(userId, version)
    if (this.#users.size > usersAtMost) this.#users.delete(this.#users.keys().next().value!)
    return version.script
  }

  #scriptOf(compiled: Compiled, whose: Readonly<Record<string, string>>): Script | undefined {
    if ('script' in compiled) return compiled.script
    const [first] = compiled.errors
    this.#log.log('err', 'a Sieve script has errors, and is not run', {
      ...whose,
      line: first?.line,
      reason: first?.text,
    })
    return undefined
  }
}

/** For `include`. `sitePath`: of global_sieve_script; the others of the site lie beside it. RFC 6609 §3.2 */
export async function includedScript(
  location: 'personal' | 'global',
  name: string,
  account: Account,
  sitePath: string | undefined,
): Promise<Uint8Array | undefined> {
  if (location === 'personal') {
    const scripts = scriptsOf(account)
    const isThere = (await scripts.list()).some((each) => each.name === name)
    return isThere ? Buffer.from(await scripts.get(name)) : undefined
  }
  if (sitePath === undefined || !plainName.test(name)) return undefined
  try {
    return await readFile(join(dirname(sitePath), `${name}.sieve`))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
