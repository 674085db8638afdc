/** Certificates for tests, made by openssl. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificates extends Disposable {
  readonly directory: string
  path(name: string): string
  openssl(...args: readonly string[]): void
  /** `<name>.pem` and `<name>.key`, signed by itself or by the authority `by`. */
  make(name: string, options?: { readonly by?: string; readonly authority?: boolean; readonly days?: number }): void
}

export function certificates(): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'))
  const path = (name: string) => join(directory, name)
  const openssl = (...args: readonly string[]) => {
    execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
  }
  return {
    directory,
    path,
    openssl,
    make(name, { by, authority = false, days = 30 } = {}) {
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`]
      const signer = by === undefined ? [] : ['-CA', `${by}.pem`, '-CAkey', `${by}.key`]
      const basic = ['-addext', `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`]
      const span =
        days > 0 ? ['-days', String(days)] : ['-not_before', '20200101000000Z', '-not_after', '20200201000000Z']
      openssl('req', '-x509', ...key, '-out', `${name}.pem`, '-subj', `/CN=${name}`, ...span, ...signer, ...basic)
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}
