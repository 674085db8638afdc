import { execFileSync } from 'node:child_process'

/** A self-signed certificate for 'localhost' and 127.0.0.1 and its key, in PEM files. */
export function makeCertificate(certificateFile: string, keyFile: string): void {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync(
    'openssl',
    ['req', '-x509', '-days', '2', ...key, '-keyout', keyFile, '-out', certificateFile, ...subject],
    {
      stdio: 'ignore',
    },
  )
}
