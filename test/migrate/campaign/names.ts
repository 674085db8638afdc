/** Mailbox names on the wire, written here once more so that the campaign does not judge our codec by itself. RFC 3501 §5.1.3 */

/** Modified UTF-7 of one level. */
export const toWire = (level: string): string =>
  level.replace(/[^\x20-\x7e]+|&/g, (run) => {
    if (run === '&') return '&-'
    const base64 = Buffer.from(run, 'utf16le').swap16().toString('base64')
    return `&${base64.replaceAll('/', ',').replace(/=+$/, '')}-`
  })

export const fromWire = (name: string): string =>
  name.replace(/&([^-]*)-/g, (_, encoded: string) =>
    encoded === '' ? '&' : Buffer.from(encoded.replaceAll(',', '/'), 'base64').swap16().toString('utf16le'),
  )

export const quoted = (name: string): string => `"${name.replace(/["\\]/g, '\\$&')}"`
