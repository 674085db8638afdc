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
  make(name: string, options?: CertificateOptions): void
}

export interface CertificateOptions {
  readonly by?: string
  readonly authority?: boolean
  readonly expired?: boolean
  /** As openssl writes it: `email:joe@example.org,DNS:localhost`. */
  readonly subjectAltName?: string
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
    make(name, { by, authority = false, expired = false, subjectAltName } = {}) {
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`]
      const subject = ['-subj', `/CN=${name}`]
      if (expired) {
        openssl('req', '-new', ...key, '-out', `${name}.csr`, ...subject)
        openssl('x509', '-req', '-in', `${name}.csr`, '-signkey', `${name}.key`, '-days', '-1', '-out', `${name}.pem`)
        return
      }
      const signer = by === undefined ? [] : ['-CA', `${by}.pem`, '-CAkey', `${by}.key`]
      const basic = ['-addext', `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`]
      const names = subjectAltName === undefined ? [] : ['-addext', `subjectAltName=${subjectAltName}`]
      openssl('req', '-x509', ...key, '-out', `${name}.pem`, '-days', '30', ...subject, ...signer, ...basic, ...names)
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}
