/** Reads certificate and key files in the formats of the administration guide, TLS-02 and TLS-03, as PEM or PKCS#12. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { OptionName } from './options.ts'

/** A file or value that an option names can't be used. */
export class OptionFault extends Error {
  override readonly name = 'OptionFault'
  readonly option: OptionName
  constructor(option: OptionName, message: string, options?: ErrorOptions) {
    super(message, options)
    this.option = option
  }
}

export type CertificateOctets =
  | { readonly cert: string; readonly key: string; readonly passphrase: string | undefined }
  | { readonly pfx: Buffer; readonly passphrase: string | undefined }

export interface CertificateFiles {
  readonly certFile: string
  /** Unset: in the certificate's file. Not used with PKCS#12. */
  readonly keyFile: string | undefined
  readonly password: string | undefined
  /** The options that name them. */
  readonly options: { readonly cert: OptionName; readonly key: OptionName; readonly password: OptionName }
}

type Format = 'pem' | 'der' | 'p12'
const formats: Readonly<Record<string, Format>> = { '.pem': 'pem', '.crt': 'pem', '.der': 'der', '.p12': 'p12' }
const keyFormats: Readonly<Record<string, Format>> = { '.pem': 'pem', '.crt': 'pem', '.key': 'pem', '.der': 'der' }

/** Throws OptionFault with the option to change; never with the password. */
export async function readCertificate(files: CertificateFiles): Promise<CertificateOctets> {
  const { certFile, keyFile, password, options } = files
  const format = formats[extname(certFile).toLowerCase()]
  if (format === undefined)
    throw new OptionFault(options.cert, `${certFile} ends in none of .pem, .crt, .der and .p12, which tell its format`)
  const octets = await read(options.cert, certFile)
  const passphrase = password === '' ? undefined : password
  if (format === 'p12') return { pfx: octets, passphrase }
  const keyPath = keyFile ?? certFile
  const keyFormat = keyFormats[extname(keyPath).toLowerCase()] ?? format
  const keyOctets = keyPath === certFile ? octets : await read(options.key, keyPath)
  return {
    cert: format === 'pem' ? octets.toString('latin1') : certificateOf(octets, files),
    key: keyFormat === 'pem' ? keyOctets.toString('latin1') : derKey(keyOctets, keyPath, passphrase, options),
    passphrase: keyFormat === 'pem' ? passphrase : undefined,
  }
}

/** Octets of a file that an option names. Throws OptionFault. */
export async function read(option: OptionName, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new OptionFault(
      option,
      `${path} can't be read: ${code}; put the file there, or let the user of the services read it`,
      { cause: error },
    )
  }
}

function certificateOf(der: Buffer, { certFile, options }: CertificateFiles): string {
  try {
    return new X509Certificate(der).toString()
  } catch (error) {
    throw new OptionFault(options.cert, `${certFile} is not a DER certificate`, { cause: error })
  }
}

/** DER does not say which of the three structures it is. */
function derKey(
  der: Buffer,
  path: string,
  passphrase: string | undefined,
  options: CertificateFiles['options'],
): string {
  let key: KeyObject | undefined
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      key = createPrivateKey({ key: der, format: 'der', type, ...(passphrase === undefined ? {} : { passphrase }) })
      break
    } catch {}
  }
  if (key === undefined)
    throw new OptionFault(options.key, `${path} is not a DER private key, or ${options.password} does not open it`)
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}

/** Octets of a file with authorities. Throws OptionFault for one without a certificate, which OpenSSL would take in silence. */
export async function readAuthorities(option: OptionName, file: string): Promise<Buffer> {
  const octets = await read(option, file)
  if (!octets.includes('-----BEGIN CERTIFICATE-----') && !octets.includes('-----BEGIN TRUSTED CERTIFICATE-----'))
    throw new OptionFault(option, `${file} has no certificate in PEM`)
  return octets
}
