/** Status responses, continuation requests and the short untagged lines. RFC 9051 §7, §9 rules response-tagged, resp-text */

/** What a line's text may not hold is replaced; text in other scripts needs no encoding that RFC 3501 clients know, so it becomes '?'. */
export function sanitiseText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?') || '-'
}

/** `a1 OK [READ-WRITE] SELECT completed`; tag undefined for untagged. `code` without brackets, from this room's formatters. */
export function formatStatusResponse(
  tag: string | undefined,
  status: 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH',
  text: string,
  code?: string,
): string {
  // "]" ends a code; CR and LF would end the line
  const bracketed = code === undefined ? '' : `[${code.replace(/[\]\r\n\0]/g, '?')}] `
  return `${tag ?? '*'} ${status} ${bracketed}${sanitiseText(text)}\r\n`
}

/** `+ idling` */
export function formatContinuation(text: string): string {
  return `+ ${sanitiseText(text)}\r\n`
}

/** `* CAPABILITY IMAP4rev1 STARTTLS`; the list alone is also a response code. */
export function formatCapability(capabilities: readonly string[]): string {
  return `* ${capabilityCode(capabilities)}\r\n`
}

export function capabilityCode(capabilities: readonly string[]): string {
  return ['CAPABILITY', ...capabilities].join(' ')
}

/** `* 23 EXISTS`, `* 2 RECENT`, `* 7 EXPUNGE` */
export function formatNumbered(value: number, word: 'EXISTS' | 'RECENT' | 'EXPUNGE'): string {
  return `* ${value} ${word}\r\n`
}
