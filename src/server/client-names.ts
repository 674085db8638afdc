/** E-mail addresses in a certificate: whom it may stand for. RFC 5280 §4.2.1.6 (rfc822Name), §4.1.2.6 (emailAddress of old certificates) */
import type { X509Certificate } from 'node:crypto'

/** Those that OpenSSL finds in the certificate, too; in the certificate's order. */
export const emailAddresses = (certificate: X509Certificate): readonly string[] => {
  const alternative = entries(certificate.subjectAltName ?? '')
  const names = alternative.filter(({ type }) => type === 'email').map(({ value }) => value)
  const subject = certificate.subject.split('\n').map((line) => /^emailAddress=(.*)$/.exec(line)?.[1] ?? '')
  const found = [...names, ...subject].filter((name) => name.includes('@'))
  return found.filter((name) => certificate.checkEmail(name) !== undefined)
}

/** `type:value, type:value`; Node quotes a value that could be taken for more than one. Nothing when any of it can't be read. */
const entries = (text: string): readonly { readonly type: string; readonly value: string }[] => {
  const found: { type: string; value: string }[] = []
  const entry = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/y
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text)
    if (match === null) return []
    found.push({ type: match[1]!, value: match[2]! })
  }
  return found
}
